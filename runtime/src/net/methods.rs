//! What all streams can do, written down once.

/// The methods and traits of a stream that is a [`Duplex`](crate::net::duplex::Duplex) inside.
macro_rules! stream_methods {
    ($name:ident) => {
        impl $name {
            /// Reads what has come, once there is something. 0 is the end, or a `buf` without room.
            ///
            /// # Errors
            /// Of the system; [`TimedOut`](io::ErrorKind::TimedOut).
            ///
            /// # Cancellation
            /// Dropped before it is done, nothing was read.
            pub async fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
                self.0.begin_read();
                poll_fn(|polling| self.0.poll_read_into(polling, buf)).await
            }

            /// Reads what has come, once there is something, behind what `buf` holds. 0 is the end.
            ///
            /// A block of the core's pool is taken when there is something to read, and while there is nothing, `buf`
            /// keeps little more room than for the bytes that it holds. So a connection that waits has no block, and
            /// those of a core read into the same few. What was dealt with is left out with
            /// [`BufMut::advance`](crate::BufMut::advance).
            ///
            /// `buf` grows for as long as nothing is left out. Who waits for the rest of something long has to say how
            /// long that may be.
            ///
            /// # Errors
            /// As [`read`](Self::read); [`OutOfMemory`](io::ErrorKind::OutOfMemory) if there is none for a block. Nothing is
            /// lost then, and the same can be read later.
            ///
            /// # Cancellation
            /// As [`read`](Self::read): `buf` holds what it held.
            ///
            /// ```
            /// use ringpost::BufMut;
            /// use ringpost::net::TcpStream;
            ///
            /// /// Sends back whole lines, of at most 1,000 bytes.
            /// async fn echo(mut stream: TcpStream) -> std::io::Result<()> {
            ///     let mut bytes = BufMut::default();
            ///     while bytes.len() <= 1000 && stream.read_buf(&mut bytes).await? > 0 {
            ///         let last = bytes.iter().rposition(|byte| *byte == b'\n');
            ///         let end = last.map_or(0, |at| at + 1);
            ///         stream.write_all(&bytes[..end]).await?;
            ///         bytes.advance(end);
            ///     }
            ///     Ok(())
            /// }
            /// ```
            pub async fn read_buf(&mut self, buf: &mut crate::BufMut) -> io::Result<usize> {
                self.0.begin_read();
                poll_fn(|polling| self.0.poll_read_buf(polling, buf)).await
            }

            /// Reads until `buf` is full.
            ///
            /// # Errors
            /// As [`read`](Self::read); [`UnexpectedEof`](io::ErrorKind::UnexpectedEof) if the end comes first.
            ///
            /// # Cancellation
            /// A part may have been read, and is in `buf`; how much is not known.
            pub async fn read_exact(&mut self, mut buf: &mut [u8]) -> io::Result<()> {
                while !buf.is_empty() {
                    match self.read(buf).await? {
                        0 => return Err(io::ErrorKind::UnexpectedEof.into()),
                        count => buf = buf.get_mut(count..).unwrap_or_default(),
                    }
                }
                Ok(())
            }

            /// Writes what there is room for, once there is some.
            ///
            /// # Errors
            /// Of the system; [`TimedOut`](io::ErrorKind::TimedOut).
            ///
            /// # Cancellation
            /// Dropped before it is done, nothing was written.
            pub async fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
                self.0.begin_write();
                poll_fn(|polling| self.0.poll_write_from(polling, buf)).await
            }

            /// Writes the parts one after the other, in one system call, as far as there is room.
            ///
            /// # Errors
            /// As [`write`](Self::write).
            ///
            /// # Cancellation
            /// As [`write`](Self::write).
            pub async fn write_vectored(&mut self, parts: &[IoSlice<'_>]) -> io::Result<usize> {
                self.0.begin_write();
                poll_fn(|polling| self.0.poll_write_parts(polling, parts)).await
            }

            /// Writes all of `buf`.
            ///
            /// # Errors
            /// As [`write`](Self::write).
            ///
            /// # Cancellation
            /// A part may have been written; how much is not known.
            pub async fn write_all(&mut self, mut buf: &[u8]) -> io::Result<()> {
                while !buf.is_empty() {
                    match self.write(buf).await? {
                        0 => return Err(io::ErrorKind::WriteZero.into()),
                        count => buf = buf.get(count..).unwrap_or_default(),
                    }
                }
                Ok(())
            }

            /// Ends one direction or both. The peer reads what was written before, and then the end.
            ///
            /// # Errors
            /// Of the system.
            pub fn shutdown(&self, how: Shutdown) -> io::Result<()> {
                self.0.shutdown(how)
            }

            /// How long each read may wait; `None`, the default, is for ever.
            pub fn set_read_timeout(&mut self, timeout: Option<Duration>) {
                self.0.set_read_timeout(timeout);
            }

            /// How long each write may wait; `None`, the default, is for ever.
            pub fn set_write_timeout(&mut self, timeout: Option<Duration>) {
                self.0.set_write_timeout(timeout);
            }
        }

        impl AsyncRead for $name {
            fn poll_read(
                self: Pin<&mut Self>,
                polling: &mut Polling<'_>,
                buf: &mut [u8],
            ) -> Poll<io::Result<usize>> {
                self.get_mut().0.poll_read_into(polling, buf)
            }

            fn poll_read_vectored(
                self: Pin<&mut Self>,
                polling: &mut Polling<'_>,
                parts: &mut [IoSliceMut<'_>],
            ) -> Poll<io::Result<usize>> {
                self.get_mut().0.poll_read_parts(polling, parts)
            }
        }

        impl AsyncWrite for $name {
            fn poll_write(
                self: Pin<&mut Self>,
                polling: &mut Polling<'_>,
                buf: &[u8],
            ) -> Poll<io::Result<usize>> {
                self.get_mut().0.poll_write_from(polling, buf)
            }

            fn poll_write_vectored(
                self: Pin<&mut Self>,
                polling: &mut Polling<'_>,
                parts: &[IoSlice<'_>],
            ) -> Poll<io::Result<usize>> {
                self.get_mut().0.poll_write_parts(polling, parts)
            }

            /// Nothing is kept back here, so there is nothing to flush.
            fn poll_flush(
                self: Pin<&mut Self>,
                _polling: &mut Polling<'_>,
            ) -> Poll<io::Result<()>> {
                Poll::Ready(Ok(()))
            }

            fn poll_close(
                self: Pin<&mut Self>,
                _polling: &mut Polling<'_>,
            ) -> Poll<io::Result<()>> {
                Poll::Ready(self.shutdown(Shutdown::Write))
            }
        }
    };
}

pub(super) use stream_methods;
