//! Every value of every type reads back from its text and from its binary form, and from its packed bytes; no
//! bytes or text make a reader panic.

use crate::adt::TimeZone;
use crate::testing::{arb_scalar_type, arb_value};
use crate::text::{self, DecodeContext, EncodeContext};
use crate::types::{datum_matches_scalar_type, datum_matches_type};
use crate::{Datum, Row, RowArena, ScalarType, binary};
use bytes::BytesMut;
use proptest::prelude::*;

fn typed_value() -> impl Strategy<Value = (ScalarType, Row)> {
    arb_scalar_type().prop_flat_map(|t| {
        let value = arb_value(&t);
        (Just(t), value)
    })
}

fn repacked(d: Datum<'_>) -> Row {
    Row::pack_slice(&[d])
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 10000, ..ProptestConfig::default() })]

    #[test]
    fn text_round_trips((typ, row) in typed_value(), zone in 0usize..3) {
        let timezone = [
            TimeZone::UTC,
            TimeZone::parse("America/New_York").unwrap(),
            TimeZone::Fixed(5 * 3600 + 1800),
        ][zone];
        let arena = RowArena::new();
        let mut out = String::new();
        text::encode_with(row.unpack_first(), &typ, &EncodeContext { timezone }, &mut out);
        let back = text::decode_with(&out, &typ, &DecodeContext { timezone, now: None }, &arena);
        let back = back.map_err(|e| TestCaseError::fail(format!("{typ}: {out:?}: {e} {:?}", e.detail)))?;
        prop_assert_eq!(repacked(back), row, "{}: {:?}", typ, out);
    }

    #[test]
    fn binary_round_trips((typ, row) in typed_value()) {
        let arena = RowArena::new();
        let mut out = BytesMut::new();
        binary::encode(row.unpack_first(), &typ, &mut out);
        let back = binary::decode(&out, &typ, &arena);
        let back = back.map_err(|e| TestCaseError::fail(format!("{typ}: {out:?}: {e}")))?;
        prop_assert_eq!(repacked(back), row, "{}: {:?}", typ, out);
    }

    #[test]
    fn values_match_their_types((typ, row) in typed_value()) {
        let datum = row.unpack_first();
        prop_assert!(datum_matches_scalar_type(datum, &typ), "{typ}: {datum:?}");
        prop_assert!(!datum_matches_type(Datum::Null, &typ.clone().nullable(false)));
        prop_assert!(datum_matches_type(Datum::Null, &typ.nullable(true)));
    }

    #[test]
    fn packed_datums_are_told_apart((_typ, row) in typed_value(), (_other, next) in typed_value()) {
        let both = Row::pack(row.iter().chain(next.iter()));
        let mut rest = both.data();
        prop_assert_eq!(crate::row::take_packed(&mut rest), row.data());
        prop_assert_eq!(crate::row::take_packed(&mut rest), next.data());
        prop_assert!(rest.is_empty());
    }

    #[test]
    fn packed_bytes_are_valid((_typ, row) in typed_value()) {
        let again = Row::from_untrusted_bytes(row.data());
        prop_assert_eq!(again.as_ref(), Some(&row));
    }

    #[test]
    fn damaged_bytes_never_panic((typ, row) in typed_value(), at in any::<prop::sample::Index>(), byte in any::<u8>()) {
        let mut bytes = row.data().to_vec();
        let at = at.index(bytes.len());
        bytes[at] = byte;
        read_everything(&bytes);
        let mut binary_form = BytesMut::new();
        binary::encode(row.unpack_first(), &typ, &mut binary_form);
        let arena = RowArena::new();
        if !binary_form.is_empty() {
            let at = at % binary_form.len();
            binary_form[at] = byte;
        }
        let _ = binary::decode(&binary_form, &typ, &arena).map(|d| repacked(d));
    }

    #[test]
    fn random_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..64), typ in arb_scalar_type()) {
        read_everything(&bytes);
        let _ = binary::decode(&bytes, &typ, &RowArena::new()).map(|d| repacked(d));
    }

    #[test]
    fn random_packed_bytes_never_panic(bytes in prop::collection::vec(0u8..64, 0..48)) {
        read_everything(&bytes);
    }

    #[test]
    fn random_text_never_panics(s in "\\PC{0,16}|[0-9a-z:./+\\-{}\\[\\](),\" ]{0,20}", typ in arb_scalar_type()) {
        let arena = RowArena::new();
        if let Ok(d) = text::decode(&s, &typ, &arena) {
            // What was read has a text that reads back as the same.
            let shown = text::to_string(d, &typ);
            let again = text::decode(&shown, &typ, &arena);
            prop_assert!(again.is_ok(), "{}: {:?} -> {:?}: {:?}", typ, s, shown, again);
            prop_assert_eq!(repacked(again.unwrap()), repacked(d), "{}: {:?} -> {:?}", typ, s, shown);
        }
    }
}

/// Uses each datum in every way that looks inside of it.
fn read_everything(bytes: &[u8]) {
    let Some(row) = Row::from_untrusted_bytes(bytes) else { return };
    let datums = row.unpack();
    for (a, b) in datums.iter().zip(datums.iter().rev()) {
        let _ = a.cmp(b);
    }
    let _ = format!("{row:?}");
    let mut hasher = std::hash::DefaultHasher::new();
    for d in datums {
        std::hash::Hash::hash(&d, &mut hasher);
        let mut out = String::new();
        text::encode(d, &ScalarType::String, &mut out);
        text::encode(d, &ScalarType::Jsonb, &mut out);
        if let Datum::Numeric(n) = d {
            let _ = crate::adt::numeric::canonicalize(n.0);
            let mut bytes = BytesMut::new();
            binary::encode(d, &ScalarType::NUMERIC, &mut bytes);
        }
    }
}
