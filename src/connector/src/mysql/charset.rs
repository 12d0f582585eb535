//! Character sets: from a column's bytes to text.
//!
//! Rows of the binlog hold text in the column's own character set; the snapshot asks for the same bytes
//! (`character_set_results = NULL`), so that both pass through here.

use std::borrow::Cow;

use encoding_rs::Encoding;

/// A character set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Charset {
    /// `utf8mb4`, `utf8mb3` and `ascii`.
    Utf8,
    /// `ucs2`, `utf16`.
    Utf16Be,
    /// `utf16le`.
    Utf16Le,
    /// `utf32`.
    Utf32,
    /// One that the encoding standard has. MySQL's `latin1` is Windows-1252 (MySQL manual, 12.10.2), all of whose bytes are
    /// assigned.
    Other(&'static Encoding),
}

impl Charset {
    /// The character set of this name in `information_schema`; `None` when it is not supported.
    pub(crate) fn by_name(name: &str) -> Option<Charset> {
        use encoding_rs as e;
        Some(match name.to_ascii_lowercase().as_str() {
            "utf8mb4" | "utf8mb3" | "utf8" | "ascii" => Charset::Utf8,
            "ucs2" | "utf16" => Charset::Utf16Be,
            "utf16le" => Charset::Utf16Le,
            "utf32" => Charset::Utf32,
            "latin1" => Charset::Other(e::WINDOWS_1252),
            "latin2" => Charset::Other(e::ISO_8859_2),
            "latin5" => Charset::Other(e::WINDOWS_1254),
            "latin7" => Charset::Other(e::ISO_8859_13),
            "greek" => Charset::Other(e::ISO_8859_7),
            "hebrew" => Charset::Other(e::ISO_8859_8),
            "cp1250" => Charset::Other(e::WINDOWS_1250),
            "cp1251" => Charset::Other(e::WINDOWS_1251),
            "cp1256" => Charset::Other(e::WINDOWS_1256),
            "cp1257" => Charset::Other(e::WINDOWS_1257),
            "cp866" => Charset::Other(e::IBM866),
            "koi8r" => Charset::Other(e::KOI8_R),
            "koi8u" => Charset::Other(e::KOI8_U),
            "macroman" => Charset::Other(e::MACINTOSH),
            "tis620" => Charset::Other(e::WINDOWS_874),
            "gb2312" | "gbk" => Charset::Other(e::GBK),
            "gb18030" => Charset::Other(e::GB18030),
            "big5" => Charset::Other(e::BIG5),
            "sjis" | "cp932" => Charset::Other(e::SHIFT_JIS),
            "ujis" | "eucjpms" => Charset::Other(e::EUC_JP),
            "euckr" => Charset::Other(e::EUC_KR),
            _ => return None,
        })
    }

    /// The text of these bytes; `None` when they are no text of this character set.
    pub(crate) fn decode<'a>(&self, bytes: &'a [u8]) -> Option<Cow<'a, str>> {
        match self {
            Charset::Utf8 => std::str::from_utf8(bytes).ok().map(Cow::Borrowed),
            Charset::Utf16Be => {
                encoding_rs::UTF_16BE.decode_without_bom_handling_and_without_replacement(bytes)
            }
            Charset::Utf16Le => {
                encoding_rs::UTF_16LE.decode_without_bom_handling_and_without_replacement(bytes)
            }
            Charset::Utf32 => {
                if !bytes.len().is_multiple_of(4) {
                    return None;
                }
                let chars = bytes
                    .chunks_exact(4)
                    .map(|c| char::from_u32(u32::from_be_bytes([c[0], c[1], c[2], c[3]])));
                chars.collect::<Option<String>>().map(Cow::Owned)
            }
            Charset::Other(encoding) => encoding.decode_without_bom_handling_and_without_replacement(bytes),
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn decoding() {
        let decode = |charset, bytes| Charset::by_name(charset).unwrap().decode(bytes).map(Cow::into_owned);
        assert_eq!(decode("utf8mb4", "a😀".as_bytes()).as_deref(), Some("a😀"));
        assert_eq!(decode("utf8mb4", &[0xff]), None);
        assert_eq!(decode("latin1", &[0x80, 0xe9, 0x81]).as_deref(), Some("€é\u{81}"));
        assert_eq!(decode("ucs2", &[0, 0x41, 0x20, 0xac]).as_deref(), Some("A€"));
        assert_eq!(decode("utf32", &[0, 1, 0xf6, 0]).as_deref(), Some("😀"));
        assert_eq!(decode("utf32", &[0, 1, 0xf6]), None);
        assert_eq!(decode("cp1251", &[0xcf]).as_deref(), Some("П"));
        assert!(Charset::by_name("geostd8").is_none());
    }
}
