//! WebSocket frames byte by byte, written independently of any library, so that a case can say anything.

use bytes::{Buf, Bytes, BytesMut};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::eventually::within;
use crate::transport::Stream;

/// The bit of the last frame of a message.
const FIN: u8 = 0x80;
/// The bit of a masked frame.
const MASKED: u8 = 0x80;
const MASK: [u8; 4] = [0x12, 0x34, 0x56, 0x78];

/// A connection that speaks in frames, right or wrong, and HTTP before that.
pub struct Frames {
    stream: Box<dyn Stream>,
    buffer: BytesMut,
    host: String,
}

/// A frame as it came from the server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Frame {
    /// What it is: [`Frame::BINARY`] and so on.
    pub opcode: u8,
    /// What it carries.
    pub payload: Bytes,
}

impl Frame {
    /// More of the message before.
    pub const CONTINUATION: u8 = 0x0;
    /// Text.
    pub const TEXT: u8 = 0x1;
    /// Bytes.
    pub const BINARY: u8 = 0x2;
    /// The end.
    pub const CLOSE: u8 = 0x8;
    /// Asks for a pong.
    pub const PING: u8 = 0x9;
    /// Answers a ping, or comes by itself.
    pub const PONG: u8 = 0xA;

    /// The code of a Close frame.
    pub fn close_code(&self) -> u16 {
        assert_eq!(self.opcode, Frame::CLOSE, "a Close frame was expected: {self:?}");
        self.payload.clone().get_u16()
    }
}

impl Frames {
    pub(crate) fn new(stream: Box<dyn Stream>, host: String) -> Frames {
        Frames { stream, buffer: BytesMut::new(), host }
    }

    /// Asks for a WebSocket of `mqtt` on `/mqtt`, and must get it.
    pub async fn upgrade(mut self) -> Frames {
        let head = self.handshake("/mqtt", &[("Sec-WebSocket-Protocol", "mqtt")]).await;
        assert!(head.starts_with("HTTP/1.1 101 "), "{head}");
        self
    }

    /// Asks for a WebSocket on a path with more headers, and gives the head of the answer.
    pub async fn handshake(&mut self, path: &str, headers: &[(&str, &str)]) -> String {
        let mut request = format!("GET {path} HTTP/1.1\r\n");
        let host = self.host.clone();
        let usual = [
            ("Host", host.as_str()),
            ("Connection", "Upgrade"),
            ("Upgrade", "websocket"),
            ("Sec-WebSocket-Version", "13"),
            ("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ=="),
        ];
        for (name, value) in usual.iter().chain(headers) {
            request.extend([name, ": ", value, "\r\n"]);
        }
        request.push_str("\r\n");
        self.send(request.as_bytes()).await;
        self.head().await
    }

    /// The head of an answer of HTTP; what follows it stays unread.
    pub async fn head(&mut self) -> String {
        loop {
            if let Some(end) = self.buffer.windows(4).position(|window| window == b"\r\n\r\n") {
                let head = self.buffer.split_to(end + 4);
                return String::from_utf8_lossy(&head).into_owned();
            }
            assert!(self.fill().await, "the connection ended within a head: {:?}", self.buffer);
        }
    }

    /// Writes bytes.
    pub async fn send(&mut self, bytes: &[u8]) {
        let sending = async {
            self.stream.write_all(bytes).await?;
            self.stream.flush().await
        };
        within("writing to the server", sending).await.expect("the server reads");
    }

    /// Sends a whole message of one frame.
    pub async fn message(&mut self, opcode: u8, payload: &[u8]) {
        self.send(&frame(FIN | opcode, payload)).await;
    }

    /// Sends a frame after which more of the message follows.
    pub async fn part(&mut self, opcode: u8, payload: &[u8]) {
        self.send(&frame(opcode, payload)).await;
    }

    /// The next frame, or `None` if the server has ended the connection.
    pub async fn next(&mut self) -> Option<Frame> {
        loop {
            if let Some(frame) = self.take() {
                return Some(frame);
            }
            if !self.fill().await {
                return None;
            }
        }
    }

    /// The next frame, which must be of that kind.
    pub async fn expect(&mut self, opcode: u8) -> Bytes {
        match self.next().await {
            Some(frame) if frame.opcode == opcode => frame.payload,
            other => panic!("a frame of opcode {opcode} was expected, and there was {other:?}"),
        }
    }

    /// Asserts that the server says why it ends the connection, and does.
    pub async fn expect_close(&mut self, code: u16) {
        let frame = self.next().await.expect("a Close frame before the end");
        assert_eq!(frame.close_code(), code, "{frame:?}");
        assert_eq!(self.next().await, None, "nothing comes after a Close frame");
    }

    async fn fill(&mut self) -> bool {
        let read = within("bytes, or the end", self.stream.read_buf(&mut self.buffer)).await;
        matches!(read, Ok(1..))
    }

    fn take(&mut self) -> Option<Frame> {
        let (first, second) = (*self.buffer.first()?, *self.buffer.get(1)?);
        assert_eq!(first & !0xF, FIN, "a server's frame is whole and has no extension's bits: {first:#x}");
        assert_eq!(second & MASKED, 0, "a server's frame is not masked");
        let (head, length) = match second {
            126 => (4, usize::from(self.buffer.get(2..4)?.get_u16())),
            127 => (10, usize::try_from(self.buffer.get(2..10)?.get_u64()).expect("a length")),
            short => (2, usize::from(short)),
        };
        if self.buffer.len() < head + length {
            return None;
        }
        let mut frame = self.buffer.split_to(head + length);
        frame.advance(head);
        Some(Frame { opcode: first & 0xF, payload: frame.freeze() })
    }
}

/// A masked frame with that first byte.
fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let mut frame = vec![first];
    match payload.len() {
        short @ 0..=125 => frame.push(MASKED | u8::try_from(short).expect("it is short")),
        middle @ 126..=0xFFFF => {
            frame.push(MASKED | 0x7E);
            frame.extend_from_slice(&u16::try_from(middle).expect("it fits").to_be_bytes());
        }
        long => {
            frame.push(MASKED | 0x7F);
            frame.extend_from_slice(&(long as u64).to_be_bytes());
        }
    }
    frame.extend_from_slice(&MASK);
    frame.extend(payload.iter().zip(MASK.iter().cycle()).map(|(byte, mask)| byte ^ mask));
    frame
}
