//! Faregate on the command line.
