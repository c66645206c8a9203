//! A node's words about a transaction, understood.

use crate::node::NodeError;

/// What a node said to a transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Said {
    Accepted,
    Nonce,
    Fee,
    NoGasMoney,
    /// It refused in words we do not know.
    Other,
    /// It did not answer.
    Nothing,
}

/// Nodes have no codes for this, only words; these are the ones of geth and its forks, erigon, nethermind, besu, reth,
/// anvil and our own dev chain.
pub(crate) fn said(answer: Result<(), NodeError>) -> Said {
    let refusal = match answer {
        Ok(()) => return Said::Accepted,
        Err(NodeError::Away(_)) => return Said::Nothing,
        Err(NodeError::Refused(refusal)) => refusal,
    };
    let words = refusal.message.to_ascii_lowercase();
    let has = |texts: &[&str]| texts.iter().any(|text| words.contains(text));
    if has(&[
        "already known",
        "alreadyknown",
        "known transaction",
        "already imported",
        "already exists",
    ]) {
        Said::Accepted
    } else if has(&["nonce", "replacement"]) {
        Said::Nonce
    } else if has(&[
        "insufficient funds",
        "insufficient balance",
        "insufficientfunds",
    ]) {
        Said::NoGasMoney
    } else if has(&[
        "underpriced",
        "fee too low",
        "feetoolow",
        "base fee",
        "basefee",
        "gas price too low",
    ]) {
        Said::Fee
    } else {
        Said::Other
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::node::{Answered, Silence};

    #[test]
    fn the_words_of_nodes() {
        let cases = [
            ("already known", Said::Accepted),
            ("AlreadyKnown", Said::Accepted),
            ("transaction already imported", Said::Accepted),
            ("nonce too low: next nonce 5, tx nonce 4", Said::Nonce),
            ("OldNonce", Said::Nonce),
            ("replacement transaction underpriced", Said::Nonce),
            (
                "insufficient funds for gas * price + value: balance 0",
                Said::NoGasMoney,
            ),
            ("transaction underpriced", Said::Fee),
            ("max fee per gas less than block base fee", Said::Fee),
            ("exceeds block gas limit", Said::Other),
        ];
        for (words, expected) in cases {
            let refusal = Answered {
                code: -32000,
                message: words.into(),
                data: None,
            };
            assert_eq!(said(Err(NodeError::Refused(refusal))), expected, "{words}");
        }
        assert_eq!(said(Err(NodeError::Away(Silence::Timeout))), Said::Nothing);
        assert_eq!(said(Ok(())), Said::Accepted);
    }
}
