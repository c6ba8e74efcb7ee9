//! What is put under load.

use std::fmt;
use std::str::FromStr;

use ringpost::{Address, Route};

/// What is put under load.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Target {
    /// A worker behind a node's TCP transport.
    Tcp {
        /// `host:port` of the node.
        server: String,
        /// The addresses to visit there.
        route: Route,
    },
    /// A service that sends back the bytes it gets.
    Raw {
        /// `host:port` of the service.
        server: String,
    },
    /// A service that sends back frames, each behind its length.
    Framed {
        /// `host:port` of the service.
        server: String,
    },
    /// Workers on a node of this process.
    Local,
}

impl Target {
    /// How many workers a message visits that are named.
    pub(crate) fn hops(&self) -> usize {
        match self {
            Self::Tcp { route, .. } => route.len(),
            _ => 0,
        }
    }
}

/// Why a text is no target.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum TargetError {
    #[error(
        "there is no scheme in front; write tcp://HOST:PORT/WORKER, framed://HOST:PORT, raw://HOST:PORT or local://"
    )]
    Scheme,
    #[error(
        "`{found}` is not known; there are tcp://HOST:PORT/WORKER, framed://HOST:PORT, raw://HOST:PORT and local://"
    )]
    UnknownScheme { found: String },
    #[error("there is no worker; write which one replies, as in tcp://{server}/echoer")]
    Worker { server: String },
    #[error("`{server}` is not HOST:PORT, such as 127.0.0.1:4000 or [::1]:4000")]
    Server { server: String },
    #[error("`{rest}` behind the port; a plain echo has no workers (tcp:// does)")]
    RawPath { rest: String },
    #[error("`{rest}` behind local://; the cores are chosen with --from-core and --to-core")]
    LocalPath { rest: String },
    #[error("`{part}` is not an address: {reason}")]
    Address { part: String, reason: String },
}

impl FromStr for Target {
    type Err = TargetError;

    fn from_str(text: &str) -> Result<Self, TargetError> {
        let (scheme, rest) = text.split_once("://").ok_or(TargetError::Scheme)?;
        let (server, path) = rest.split_once('/').unwrap_or((rest, ""));
        match scheme {
            "tcp" => Ok(Self::Tcp {
                server: check_server(server)?,
                route: route(server, path)?,
            }),
            "raw" if path.is_empty() => Ok(Self::Raw {
                server: check_server(server)?,
            }),
            "framed" if path.is_empty() => Ok(Self::Framed {
                server: check_server(server)?,
            }),
            "raw" | "framed" => Err(TargetError::RawPath { rest: path.into() }),
            "local" if rest.is_empty() => Ok(Self::Local),
            "local" => Err(TargetError::LocalPath { rest: rest.into() }),
            _ => Err(TargetError::UnknownScheme {
                found: format!("{scheme}://"),
            }),
        }
    }
}

impl Target {
    /// `host:port` of the server, if there is one.
    pub(crate) fn server(&self) -> Option<&str> {
        match self {
            Self::Tcp { server, .. } | Self::Raw { server } | Self::Framed { server } => {
                Some(server)
            }
            Self::Local => None,
        }
    }

    /// The same target at another server.
    pub(crate) fn at(&self, address: impl fmt::Display) -> Self {
        let server = address.to_string();
        match self {
            Self::Tcp { route, .. } => Self::Tcp {
                server,
                route: route.clone(),
            },
            Self::Raw { .. } => Self::Raw { server },
            Self::Framed { .. } => Self::Framed { server },
            Self::Local => Self::Local,
        }
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Raw { server } => write!(f, "raw://{server}"),
            Self::Framed { server } => write!(f, "framed://{server}"),
            Self::Local => f.write_str("local://"),
            Self::Tcp { server, route } => {
                write!(f, "tcp://{server}")?;
                for address in route.iter() {
                    let text = address.to_string();
                    write!(f, "/{}", text.strip_prefix("0#").unwrap_or(&text))?;
                }
                Ok(())
            }
        }
    }
}

fn check_server(server: &str) -> Result<String, TargetError> {
    let parts = server.rsplit_once(':');
    match parts {
        Some((host, port)) if !host.is_empty() && port.parse::<u16>().is_ok() => Ok(server.into()),
        _ => Err(TargetError::Server {
            server: server.into(),
        }),
    }
}

/// The addresses in a path, each strictly as a person writes it.
fn route(server: &str, path: &str) -> Result<Route, TargetError> {
    if path.is_empty() {
        return Err(TargetError::Worker {
            server: server.into(),
        });
    }
    let address = |part: &str| {
        part.parse::<Address>()
            .map_err(|error| TargetError::Address {
                part: part.into(),
                reason: error.to_string(),
            })
    };
    path.split('/').map(address).collect()
}

#[cfg(test)]
mod tests {
    use ringpost::{TCP, route};

    use super::*;

    #[test]
    fn targets_are_read_and_shown() {
        let tcp = Target::Tcp {
            server: "127.0.0.1:4000".into(),
            route: route!["echoer"],
        };
        assert_eq!("tcp://127.0.0.1:4000/echoer".parse(), Ok(tcp.clone()));
        let raw = Target::Raw {
            server: "[::1]:9".into(),
        };
        assert_eq!("raw://[::1]:9".parse(), Ok(raw));
        assert_eq!("local://".parse(), Ok(Target::Local));
        for text in [
            "tcp://h:1/a/b",
            "raw://localhost:80",
            "framed://h:1",
            "local://",
        ] {
            let target: Target = text.parse().unwrap();
            assert_eq!(target.to_string(), text);
        }
        assert_eq!(tcp.at("x:1").server(), Some("x:1"));
    }

    #[test]
    fn a_path_is_a_route_and_may_name_other_nodes() {
        let target = "tcp://h:1/relay/1#10.0.0.1:4000/echoer".parse();
        let route = Route::new()
            .append("relay")
            .append_t(TCP, "10.0.0.1:4000")
            .append("echoer");
        let server = "h:1".into();
        assert_eq!(target, Ok(Target::Tcp { server, route }));
    }

    #[test]
    fn each_mistake_is_named() {
        for (text, part) in [
            ("127.0.0.1:4000", "no scheme"),
            ("http://h:1/x", "`http://` is not known"),
            ("tcp://h:1", "no worker"),
            ("tcp://h:1/", "tcp://h:1/echoer"),
            ("tcp://h/x", "`h` is not HOST:PORT"),
            ("raw://:80", "HOST:PORT"),
            ("raw://h:99999", "HOST:PORT"),
            ("raw://h:1/x", "plain echo has no workers"),
            ("framed://h:1/x", "plain echo has no workers"),
            ("local://x", "--from-core"),
            ("tcp://h:1/a//b", "has no name"),
        ] {
            let error = text.parse::<Target>().unwrap_err().to_string();
            assert!(error.contains(part), "{text}: {error}");
        }
    }
}
