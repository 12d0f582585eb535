//! Parameters of a Bind message as a row.

use bytes::Bytes;
use hw_coord::AdapterError;
use hw_repr::text::{DecodeContext, ParseError};
use hw_repr::{Row, RowArena, ScalarType};

use super::message::utf8;
use super::rows::Format;

/// The error for a value that was refused.
pub(crate) fn value_error(e: ParseError) -> AdapterError {
    let mut error = AdapterError::new(e.sqlstate(), e.message);
    error.detail = e.detail.map(String::from);
    error.hint = e.hint.map(String::from);
    error
}

/// Decodes parameters: one datum for each of `types`.
///
/// # Errors
/// 08P01 when counts differ, else what is wrong with the value; with the parameter as the error's context.
pub(crate) fn decode(
    statement: &str,
    codes: &[i16],
    values: &[Option<Bytes>],
    types: &[ScalarType],
    cx: &DecodeContext,
) -> Result<Row, (AdapterError, Option<String>)> {
    let protocol = |message: String| (AdapterError::new("08P01", message), None);
    if codes.len() > 1 && codes.len() != values.len() {
        return Err(protocol(format!(
            "bind message has {} parameter formats but {} parameters",
            codes.len(),
            values.len()
        )));
    }
    if values.len() != types.len() {
        return Err(protocol(format!(
            "bind message supplies {} parameters, but prepared statement \"{statement}\" requires {}",
            values.len(),
            types.len()
        )));
    }
    let arena = RowArena::new();
    let mut row = Row::default();
    let mut packer = row.packer();
    for (i, (value, typ)) in values.iter().zip(types).enumerate() {
        let code = match codes {
            [] => 0,
            [one] => *one,
            all => all[i],
        };
        let datum = match value {
            None => Ok(hw_repr::Datum::Null),
            Some(bytes) => decode_value(bytes, code, typ, cx, &arena),
        };
        packer.push(datum.map_err(|e| {
            // PostgreSQL counts from 1 here.
            let context = match value {
                Some(text) if code == 0 => utf8(text).ok().map(|t| format!(" = '{}'", shortened(t))),
                _ => None,
            };
            let context = format!("unnamed portal parameter ${}{}", i + 1, context.unwrap_or_default());
            (e, Some(context))
        })?);
    }
    Ok(row)
}

fn decode_value<'a>(
    bytes: &[u8],
    code: i16,
    typ: &ScalarType,
    cx: &DecodeContext,
    arena: &'a RowArena,
) -> Result<hw_repr::Datum<'a>, AdapterError> {
    match Format::of(code)? {
        Format::Text => hw_repr::text::decode_with(utf8(bytes)?, typ, cx, arena).map_err(value_error),
        Format::Binary => hw_repr::binary::decode(bytes, typ, arena).map_err(value_error),
    }
}

/// Decodes parameters that are all text.
pub(crate) fn decode_text(
    values: &[Option<String>],
    types: &[ScalarType],
    cx: &DecodeContext,
) -> Result<Row, AdapterError> {
    let values: Vec<Option<Bytes>> = values.iter().map(|v| v.clone().map(Bytes::from)).collect();
    decode("", &[], &values, types, cx).map_err(|(e, _)| e)
}

fn shortened(text: &str) -> String {
    const SHOWN: usize = 64;
    match text.char_indices().nth(SHOWN) {
        Some((at, _)) => format!("{}...", &text[..at]),
        None => text.to_owned(),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use hw_repr::Datum;

    use super::*;

    fn run(
        codes: &[i16],
        values: &[Option<&'static [u8]>],
        types: &[ScalarType],
    ) -> Result<Row, AdapterError> {
        let values: Vec<_> = values.iter().map(|v| v.map(Bytes::from_static)).collect();
        decode("s", codes, &values, types, &DecodeContext::default()).map_err(|(e, _)| e)
    }

    #[test]
    fn formats_per_parameter() {
        use ScalarType::{Int32, String};
        let types = [Int32, String, Int32];
        let row = run(&[1, 0, 0], &[Some(b"\0\0\0\x07"), Some("é".as_bytes()), None], &types).unwrap();
        assert_eq!(row.unpack(), [Datum::Int32(7), Datum::String("é"), Datum::Null]);
        let row = run(&[], &[Some(b" 12 ")], &[Int32]).unwrap();
        assert_eq!(row.unpack(), [Datum::Int32(12)]);
        let row = run(&[1], &[Some(b"\0\0\0\x01"), Some(b"\0\0\0\x02")], &[Int32, Int32]).unwrap();
        assert_eq!(row.unpack(), [Datum::Int32(1), Datum::Int32(2)]);
    }

    #[test]
    fn errors() {
        use ScalarType::{Int32, String};
        assert_eq!(run(&[0, 0], &[None], &[Int32]).unwrap_err().sqlstate, "08P01");
        assert_eq!(
            run(&[], &[None], &[]).unwrap_err().message,
            "bind message supplies 1 parameters, but prepared statement \"s\" requires 0"
        );
        assert_eq!(run(&[], &[Some(b"x")], &[Int32]).unwrap_err().sqlstate, "22P02");
        assert_eq!(run(&[], &[Some(b"\xff")], &[String]).unwrap_err().sqlstate, "22021");
        assert_eq!(run(&[3], &[Some(b"x")], &[Int32]).unwrap_err().sqlstate, "22023");
        assert!(run(&[1], &[Some(b"x")], &[Int32]).is_err());
    }
}
