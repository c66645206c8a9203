//! Load programs; each is a binary of its own.
