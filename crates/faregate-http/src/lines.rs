//! An answer that comes line by line and may never end, e.g. newline-delimited JSON.

use std::fmt;

use bytes::{Buf as _, BytesMut};
use reqwest::Response;

use crate::http::{CallError, call_error};

/// The lines of an answer. Bounds the length of each, not their number.
pub struct Lines {
    response: Response,
    rest: BytesMut,
    line_bytes_max: usize,
    /// How much of `rest` is known to hold no line end.
    searched: usize,
}

impl fmt::Debug for Lines {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Lines")
    }
}

impl Lines {
    pub(crate) fn new(response: Response, line_bytes_max: usize) -> Self {
        Self {
            response,
            rest: BytesMut::new(),
            line_bytes_max,
            searched: 0,
        }
    }

    /// The next line that is not empty, without its end; `None` when the answer is over. May be dropped while it waits:
    /// nothing is lost.
    ///
    /// # Errors
    /// [`CallError::TooLarge`] for a line that is too long; the others as for any call.
    pub async fn next(&mut self) -> Result<Option<Vec<u8>>, CallError> {
        loop {
            while let Some(line) = self.take_line()? {
                if !line.is_empty() {
                    return Ok(Some(line));
                }
            }
            let chunk = self.response.chunk().await;
            match chunk.map_err(|error| call_error(&error))? {
                Some(chunk) => self.rest.extend_from_slice(&chunk),
                None => {
                    // The last line may come without an end.
                    let line = self.rest.split().to_vec();
                    self.searched = 0;
                    return Ok((!line.is_empty()).then_some(line));
                }
            }
        }
    }

    fn take_line(&mut self) -> Result<Option<Vec<u8>>, CallError> {
        let unseen = self.rest.get(self.searched..).unwrap_or_default();
        let end = unseen.iter().position(|byte| *byte == b'\n');
        let Some(end) = end.map(|end| end.saturating_add(self.searched)) else {
            self.searched = self.rest.len();
            return if self.rest.len() > self.line_bytes_max {
                Err(CallError::TooLarge)
            } else {
                Ok(None)
            };
        };
        if end > self.line_bytes_max {
            return Err(CallError::TooLarge);
        }
        let line = self.rest.split_to(end);
        self.rest.advance(1);
        self.searched = 0;
        Ok(Some(line.strip_suffix(b"\r").unwrap_or(&line).to_vec()))
    }
}
