//! A peer that says what it likes, and sees all that a node tells it.

use std::time::Duration;

use ringpost::net::TcpStream;
use ringpost::{Context, Error, Result, Route};
use ringpost_router::wire::{Intake, Limits, Note};
use ringpost_router::{Address, Message};

use crate::common::{append, greeting};

/// More than anything takes here.
const LONG: Duration = Duration::from_secs(1);

/// What came in one frame.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Came {
    Text {
        onward: Route,
        back: Route,
        text: String,
    },
    /// Of this sender, who had asked for this address.
    Refused { sender: Address, address: Address },
    /// News for the watch of this number.
    Ended { id: u32 },
    /// The node ended the connection.
    Nothing,
}

/// One side of a connection, without a node.
pub(crate) struct Raw {
    stream: TcpStream,
    intake: Intake,
    onward: Route,
    back: Route,
}

impl Raw {
    pub(crate) async fn connect(ctx: &Context, server: &str) -> Result<Self> {
        for _ in 0..100 {
            match TcpStream::connect(ctx, server.parse()?).await {
                Ok(stream) => return Self::over(stream).await,
                Err(_) => ctx.sleep(Duration::from_millis(1)).await,
            }
        }
        Err(Error::other("nobody listens"))
    }

    /// Greets as a node of this make does.
    pub(crate) async fn over(stream: TcpStream) -> Result<Self> {
        Self::giving(512, stream).await
    }

    /// As [`over`](Self::over), with so many credits for the node.
    pub(crate) async fn giving(frames: u32, mut stream: TcpStream) -> Result<Self> {
        stream.set_read_timeout(Some(LONG));
        stream.write_all(&greeting(frames)).await?;
        let intake = Intake::new(Limits::default());
        let (onward, back) = (Route::new(), Route::new());
        Ok(Self {
            stream,
            intake,
            onward,
            back,
        })
    }

    pub(crate) async fn send(
        &mut self,
        onward: impl Into<Route>,
        back: impl Into<Route>,
        text: &str,
    ) -> Result<()> {
        let (mut payload, mut bytes) = (Vec::new(), Vec::new());
        text.to_owned().encode(&mut payload).map_err(Error::other)?;
        append(onward.into(), back.into(), &payload, &mut bytes);
        Ok(self.stream.write_all(&bytes).await?)
    }

    /// Tells the node what is in these notes.
    pub(crate) async fn tell(&mut self, notes: &[Note]) -> Result<()> {
        let mut bytes = Vec::new();
        for note in notes {
            append(Route::new(), Route::new(), &note.encode(), &mut bytes);
        }
        Ok(self.stream.write_all(&bytes).await?)
    }

    /// What comes next, but for greetings and credits. `None` if nothing does.
    pub(crate) async fn next(&mut self) -> Result<Option<Came>> {
        loop {
            while let Some(incoming) = self.intake.next().map_err(Error::other)? {
                self.onward = incoming.onward.unwrap_or(self.onward.clone());
                self.back = incoming.return_route.unwrap_or(self.back.clone());
                if !self.onward.is_empty() {
                    let text = String::decode(&incoming.payload).map_err(Error::other)?;
                    let (onward, back) = (self.onward.clone(), self.back.clone());
                    return Ok(Some(Came::Text { onward, back, text }));
                }
                match Note::decode(&incoming.payload) {
                    Some(Note::Refused {
                        sender, address, ..
                    }) => return Ok(Some(Came::Refused { sender, address })),
                    Some(Note::Ended { id, .. }) => return Ok(Some(Came::Ended { id })),
                    _ => {}
                }
            }
            match self.stream.read(self.intake.room()).await {
                Ok(0) => return Ok(Some(Came::Nothing)),
                Ok(count) => self.intake.commit(count),
                Err(_) => return Ok(None),
            }
        }
    }

    /// The text that comes next, and the name that its sender has here.
    pub(crate) async fn text(&mut self) -> Result<(String, Address)> {
        match self.next().await? {
            Some(Came::Text { mut back, text, .. }) if back.len() == 1 => {
                Ok((text, back.step().map_err(Error::other)?))
            }
            other => Err(Error::other(format!("no text of one sender: {other:?}"))),
        }
    }

    /// Whether a text to this route is refused; else it is answered with what it was.
    pub(crate) async fn is_refused(&mut self, onward: impl Into<Route>) -> Result<bool> {
        let onward = onward.into();
        self.send(onward.clone(), "me", "knock").await?;
        match self.next().await? {
            Some(Came::Refused { sender, .. }) if sender == "me".into() => Ok(true),
            Some(Came::Text { text, .. }) if text == "knock" => Ok(false),
            other => Err(Error::other(format!("{onward}: {other:?}"))),
        }
    }
}
