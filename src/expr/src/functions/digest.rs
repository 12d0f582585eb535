//! Digests, encodings of bytes, and UUIDs (PostgreSQL manual 9.4, 9.5, 9.14).

use base64::Engine;
use base64::alphabet;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig, STANDARD};
use hmac::{Hmac, Mac};
use hw_repr::{Datum, RowArena};
use md5::Md5;
use sha1::Sha1;
use sha2::{Digest, Sha224, Sha256, Sha384, Sha512};

use super::signature::f;
use super::{EvalResult, fail, invalid_parameter, ok, text};
use crate::error::EvalError;
use crate::func::Registry;

fn bytes<'a>(arena: &'a RowArena, b: impl AsRef<[u8]>) -> EvalResult<'a> {
    ok(arena.push_bytes(b.as_ref()))
}

/// The bytes of text or bytes.
fn input<'a>(d: Datum<'a>) -> &'a [u8] {
    match d {
        Datum::String(s) => s.as_bytes(),
        other => other.unwrap_bytes(),
    }
}

fn digest<'a>(arena: &'a RowArena, data: &[u8], algorithm: &str) -> EvalResult<'a> {
    match algorithm.to_ascii_lowercase().as_str() {
        "md5" => bytes(arena, Md5::digest(data)),
        "sha1" => bytes(arena, Sha1::digest(data)),
        "sha224" => bytes(arena, Sha224::digest(data)),
        "sha256" => bytes(arena, Sha256::digest(data)),
        "sha384" => bytes(arena, Sha384::digest(data)),
        "sha512" => bytes(arena, Sha512::digest(data)),
        other => Err(invalid_parameter(format!("Cannot use \"{other}\": No such hash algorithm"))),
    }
}

fn hmac<'a>(arena: &'a RowArena, data: &[u8], key: &[u8], algorithm: &str) -> EvalResult<'a> {
    macro_rules! mac {
        ($hash:ty) => {{
            let mac = <Hmac<$hash> as Mac>::new_from_slice(key);
            let mut mac = mac.map_err(|e| invalid_parameter(e.to_string()))?;
            mac.update(data);
            bytes(arena, mac.finalize().into_bytes())
        }};
    }
    match algorithm.to_ascii_lowercase().as_str() {
        "md5" => mac!(Md5),
        "sha1" => mac!(Sha1),
        "sha224" => mac!(Sha224),
        "sha256" => mac!(Sha256),
        "sha384" => mac!(Sha384),
        "sha512" => mac!(Sha512),
        other => Err(invalid_parameter(format!("Cannot use \"{other}\": No such hash algorithm"))),
    }
}

/// A reflected CRC-32 by its polynomial, bit by bit.
fn crc(data: &[u8], polynomial: u32) -> u32 {
    !data.iter().fold(!0u32, |crc, b| {
        (0..8).fold(crc ^ u32::from(*b), |c, _| if c & 1 == 1 { (c >> 1) ^ polynomial } else { c >> 1 })
    })
}

fn encode(b: &[u8], format: &str) -> Result<String, EvalError> {
    match format.to_ascii_lowercase().as_str() {
        "hex" => Ok(hex::encode(b)),
        "base64" => {
            let plain = STANDARD.encode(b);
            // Lines of 76 characters.
            let lines: Vec<&str> =
                (0..plain.len()).step_by(76).map(|i| &plain[i..plain.len().min(i + 76)]).collect();
            Ok(lines.join("\n"))
        }
        "escape" => {
            let mut out = String::new();
            for b in b {
                match b {
                    b'\\' => out.push_str("\\\\"),
                    0 | 0x80.. => out.push_str(&format!("\\{b:03o}")),
                    b => out.push(char::from(*b)),
                }
            }
            Ok(out)
        }
        other => Err(invalid_parameter(format!("unrecognized encoding: \"{other}\""))),
    }
}

fn decode(s: &str, format: &str) -> Result<Vec<u8>, EvalError> {
    match format.to_ascii_lowercase().as_str() {
        "hex" => {
            let digits: Vec<char> = s.chars().filter(|c| !matches!(c, ' ' | '\n' | '\t' | '\r')).collect();
            if let Some(c) = digits.iter().find(|c| !c.is_ascii_hexdigit()) {
                return Err(invalid_parameter(format!("invalid hexadecimal digit: \"{c}\"")));
            }
            let digits: String = digits.into_iter().collect();
            hex::decode(digits)
                .map_err(|_| invalid_parameter("invalid hexadecimal data: odd number of digits"))
        }
        "base64" => {
            let cleaned: String = s.chars().filter(|c| !matches!(c, ' ' | '\n' | '\t' | '\r')).collect();
            if let Some(c) =
                cleaned.chars().find(|c| !(c.is_ascii_alphanumeric() || matches!(c, '+' | '/' | '=')))
            {
                return Err(invalid_parameter(format!(
                    "invalid symbol \"{c}\" found while decoding base64 sequence"
                )));
            }
            let engine = GeneralPurpose::new(
                &alphabet::STANDARD,
                GeneralPurposeConfig::new().with_decode_allow_trailing_bits(true),
            );
            engine.decode(cleaned).map_err(|_| {
                invalid_parameter("invalid base64 end sequence")
                    .with_hint("Input data is missing padding, is truncated, or is otherwise corrupted.")
            })
        }
        "escape" => {
            Ok(hw_repr::text::scalar::bytea(&format!("{}{s}", if s.starts_with("\\x") { "\\" } else { "" }))?)
        }
        other => Err(invalid_parameter(format!("unrecognized encoding: \"{other}\""))),
    }
}

pub(super) fn register(r: &mut Registry) {
    for s in ["md5(text) -> text total", "md5(bytea) -> text total"] {
        r.add(f(s, |_, arena, a| text(arena, hex::encode(Md5::digest(input(a[0]))))));
    }
    r.add(f("sha224(bytea) -> bytea total", |_, arena, a| bytes(arena, Sha224::digest(a[0].unwrap_bytes()))));
    r.add(f("sha256(bytea) -> bytea total", |_, arena, a| bytes(arena, Sha256::digest(a[0].unwrap_bytes()))));
    r.add(f("sha384(bytea) -> bytea total", |_, arena, a| bytes(arena, Sha384::digest(a[0].unwrap_bytes()))));
    r.add(f("sha512(bytea) -> bytea total", |_, arena, a| bytes(arena, Sha512::digest(a[0].unwrap_bytes()))));
    for s in ["digest(text, text) -> bytea", "digest(bytea, text) -> bytea"] {
        r.add(f(s, |_, arena, a| digest(arena, input(a[0]), a[1].unwrap_str())));
    }
    for s in ["hmac(text, text, text) -> bytea", "hmac(bytea, bytea, text) -> bytea"] {
        r.add(f(s, |_, arena, a| hmac(arena, input(a[0]), input(a[1]), a[2].unwrap_str())));
    }
    for s in ["crc32(text) -> uint4 total", "crc32(bytea) -> uint4 total"] {
        r.add(f(s, |_, _, a| ok(crc(input(a[0]), 0xEDB8_8320))));
    }
    for s in ["crc32c(text) -> uint4 total", "crc32c(bytea) -> uint4 total"] {
        r.add(f(s, |_, _, a| ok(crc(input(a[0]), 0x82F6_3B78))));
    }
    r.add(f("encode(bytea, text) -> text", |_, arena, a| {
        text(arena, encode(a[0].unwrap_bytes(), a[1].unwrap_str())?)
    }));
    r.add(f("decode(text, text) -> bytea", |_, arena, a| {
        bytes(arena, decode(a[0].unwrap_str(), a[1].unwrap_str())?)
    }));
    r.add(f("convert_from(bytea, text) -> text", |_, arena, a| {
        match std::str::from_utf8(a[0].unwrap_bytes()) {
            Ok(s) if is_utf8(a[1].unwrap_str()) => text(arena, s),
            Err(e) if is_utf8(a[1].unwrap_str()) => {
                let b = a[0].unwrap_bytes()[e.valid_up_to()];
                fail("22021", format!("invalid byte sequence for encoding \"UTF8\": 0x{b:02x}"))
            }
            _ => Err(invalid_parameter(format!("invalid source encoding name \"{}\"", a[1].unwrap_str()))),
        }
    }));
    r.add(f("convert_to(text, text) -> bytea", |_, arena, a| {
        if is_utf8(a[1].unwrap_str()) {
            return bytes(arena, a[0].unwrap_str().as_bytes());
        }
        Err(invalid_parameter(format!("invalid destination encoding name \"{}\"", a[1].unwrap_str())))
    }));
    register_bits(r);
    r.add(f("gen_random_uuid() -> uuid volatile total", |_, _, _| ok(uuid::Uuid::new_v4())));
    r.add(f("uuid_generate_v5(uuid, text) -> uuid total", |_, _, a| {
        ok(uuid::Uuid::new_v5(&a[0].unwrap_uuid(), a[1].unwrap_str().as_bytes()))
    }));
}

fn is_utf8(name: &str) -> bool {
    let name: String = name.chars().filter(char::is_ascii_alphanumeric).collect();
    matches!(name.to_ascii_lowercase().as_str(), "utf8" | "unicode")
}

fn register_bits(r: &mut Registry) {
    fn byte_at(d: Datum<'_>, at: i64) -> Result<usize, EvalError> {
        let len = d.unwrap_bytes().len();
        let found = usize::try_from(at).ok().filter(|i| *i < len);
        found.ok_or_else(|| {
            EvalError::new("2202E", format!("index {at} out of valid range, 0..{}", len as i64 - 1))
        })
    }
    fn bit_at(d: Datum<'_>, n: i64) -> Result<(usize, u32), EvalError> {
        let bits = d.unwrap_bytes().len() as i64 * 8;
        if n < 0 || n >= bits {
            return fail("2202E", format!("index {n} out of valid range, 0..{}", bits - 1));
        }
        Ok(((n / 8) as usize, (n % 8) as u32))
    }
    r.add(f("get_byte(bytea, int4) -> int4", |_, _, a| {
        let at = byte_at(a[0], a[1].unwrap_int32().into())?;
        ok(i32::from(a[0].unwrap_bytes()[at]))
    }));
    r.add(f("set_byte(bytea, int4, int4) -> bytea", |_, arena, a| {
        let mut b = a[0].unwrap_bytes().to_vec();
        b[byte_at(a[0], a[1].unwrap_int32().into())?] = a[2].unwrap_int32() as u8;
        bytes(arena, b)
    }));
    r.add(f("get_bit(bytea, int8) -> int4", |_, _, a| {
        let (at, bit) = bit_at(a[0], a[1].unwrap_int64())?;
        ok(i32::from(a[0].unwrap_bytes()[at] >> bit & 1))
    }));
    r.add(f("set_bit(bytea, int8, int4) -> bytea", |_, arena, a| {
        let (at, bit) = bit_at(a[0], a[1].unwrap_int64())?;
        let mut b = a[0].unwrap_bytes().to_vec();
        match a[2].unwrap_int32() {
            0 => b[at] &= !(1 << bit),
            1 => b[at] |= 1 << bit,
            _ => return Err(invalid_parameter("new bit must be 0 or 1")),
        }
        bytes(arena, b)
    }));
    r.add(f("bit_count(bytea) -> int8 total", |_, _, a| {
        ok(a[0].unwrap_bytes().iter().map(|b| i64::from(b.count_ones())).sum::<i64>())
    }));
}
