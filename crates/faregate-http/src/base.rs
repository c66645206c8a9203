//! Where somebody else is: a URL of scheme, host and path only.

use url::{Host, Url};

/// Whether `http://` may leave this machine.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum PlainHttp {
    /// Only to this machine: `localhost`, 127.0.0.0/8, `::1`.
    #[default]
    ToThisMachine,
    /// To any host. Whoever sits on the way can then forge answers: for private networks only, e.g. between containers.
    Anywhere,
}

/// Why a URL is not used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum UrlError {
    /// Another scheme than http or https, or with user, password, query or fragment.
    #[error("expected a URL of scheme, host and path only")]
    Shape,
    /// Plain HTTP to another machine.
    #[error("expected https for another machine")]
    Insecure,
}

/// A checked URL that paths are appended to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BaseUrl(Url);

impl BaseUrl {
    /// Takes a URL that may have a path.
    ///
    /// # Errors
    /// [`UrlError`].
    pub fn new(url: Url, plain: PlainHttp) -> Result<Self, UrlError> {
        let bare = url.username().is_empty()
            && url.password().is_none()
            && url.query().is_none()
            && url.fragment().is_none()
            && url.host().is_some();
        match url.scheme() {
            "https" if bare => Ok(Self(url)),
            "http" if bare && (plain == PlainHttp::Anywhere || is_this_machine(&url)) => {
                Ok(Self(url))
            }
            "http" if bare => Err(UrlError::Insecure),
            _ => Err(UrlError::Shape),
        }
    }

    /// The URL itself.
    #[must_use]
    pub const fn as_url(&self) -> &Url {
        &self.0
    }

    /// This URL with more path segments, whether or not it ends with a slash. Each part between slashes is one segment, and
    /// is escaped where a segment needs it.
    #[must_use]
    pub fn join(&self, path: &str) -> Url {
        let mut url = self.0.clone();
        // Always there: a URL with a host has a path.
        if let Ok(mut segments) = url.path_segments_mut() {
            segments.pop_if_empty().extend(path.split('/'));
        }
        url
    }
}

/// Whether nobody else can sit on the way.
fn is_this_machine(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name.eq_ignore_ascii_case("localhost"),
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_http_stays_on_this_machine_unless_it_is_named() {
        let table = [
            ("https://f.example", Ok(())),
            ("http://127.0.0.1:4022", Ok(())),
            ("http://127.9.9.9", Ok(())),
            ("http://[::1]:4022", Ok(())),
            ("http://localhost:4022/x", Ok(())),
            ("http://f.example", Err(UrlError::Insecure)),
            ("http://localhost.f.example", Err(UrlError::Insecure)),
            ("http://10.0.0.1", Err(UrlError::Insecure)),
            ("ftp://f.example", Err(UrlError::Shape)),
            ("https://user@f.example", Err(UrlError::Shape)),
            ("https://:pass@f.example", Err(UrlError::Shape)),
            ("https://f.example?key=1", Err(UrlError::Shape)),
            ("https://f.example#x", Err(UrlError::Shape)),
            ("data:text/plain,x", Err(UrlError::Shape)),
        ];
        for (url, expected) in table {
            let read = BaseUrl::new(url.parse().unwrap(), PlainHttp::ToThisMachine);
            assert_eq!(read.map(drop), expected, "{url}");
        }
        let open = BaseUrl::new("http://node:80".parse().unwrap(), PlainHttp::Anywhere);
        assert!(open.is_ok());
    }

    #[test]
    fn paths_are_appended_and_escaped() {
        for (base, path, expected) in [
            ("https://f.example", "verify", "https://f.example/verify"),
            ("https://f.example/", "v1/pay", "https://f.example/v1/pay"),
            (
                "https://f.example/a",
                "verify",
                "https://f.example/a/verify",
            ),
            (
                "https://f.example/a/",
                "v/b?c",
                "https://f.example/a/v/b%3Fc",
            ),
        ] {
            let base = BaseUrl::new(base.parse().unwrap(), PlainHttp::ToThisMachine).unwrap();
            assert_eq!(base.join(path).as_str(), expected);
        }
    }
}
