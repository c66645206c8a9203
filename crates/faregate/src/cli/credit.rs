//! What the command line says of credit.

use std::fmt;
use std::str::FromStr;

use faregate_devnet::chain::CreditTiming;

/// Whether the credit core wants everybody to sign in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum CreditAuth {
    /// What is private takes a token.
    Required,
    /// Who signs in is told apart, and nobody has to.
    Optional,
}

/// The four times of a credit contract.
#[derive(Clone, Copy, Debug)]
pub struct CreditTimes(pub CreditTiming);

impl fmt::Display for CreditTimes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let CreditTiming {
            remuneration_grace: grace,
            tab_expiration: expiration,
            synchronization_delay: delay,
            withdrawal_grace: withdrawal,
        } = self.0;
        write!(f, "{grace},{expiration},{delay},{withdrawal}")
    }
}

impl FromStr for CreditTimes {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let times: Result<Vec<u64>, _> = text.split(',').map(str::parse).collect();
        let Ok([grace, expiration, delay, withdrawal]) = times.as_deref() else {
            return Err("expected four numbers of seconds, e.g. 5,300,5,306".into());
        };
        let limit = expiration.checked_add(*delay);
        let fits = *grace > 0 && *delay > 0 && grace < expiration;
        if !fits || limit.is_none_or(|limit| limit >= *withdrawal) {
            return Err(
                "none may be 0, grace < expiration, expiration + delay < withdrawal".into(),
            );
        }
        Ok(Self(CreditTiming {
            remuneration_grace: *grace,
            tab_expiration: *expiration,
            synchronization_delay: *delay,
            withdrawal_grace: *withdrawal,
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_fit_together() {
        for (text, good) in [
            ("5,300,5,306", true),
            ("1,2,1,4", true),
            ("0,300,5,306", false),
            ("5,300,0,306", false),
            ("300,300,5,306", false),
            ("5,300,5,305", false),
            ("5,300,5", false),
            ("5,300,5,306,1", false),
            ("a,b,c,d", false),
            ("1,18446744073709551615,1,2", false),
        ] {
            assert_eq!(text.parse::<CreditTimes>().is_ok(), good, "{text}");
        }
    }
}
