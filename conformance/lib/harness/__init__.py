"""The real-peer conformance harness of Faregate. Standard library only; see ../../README.md."""
