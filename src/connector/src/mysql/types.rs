//! MySQL types and the types that they become.
//!
//! | MySQL | here |
//! |---|---|
//! | `tinyint`, `smallint` (`boolean` is `tinyint(1)`) | `smallint`; unsigned `uint2` |
//! | `mediumint`, `int` | `integer`; unsigned `uint4` |
//! | `bigint` | `bigint`; unsigned `uint8` |
//! | `decimal(p, s)` | `numeric(p, s)`; for p above 39 `numeric`, and a value of more than 39 digits is an error |
//! | `float`, `double` | `real`, `double precision` |
//! | `bit(n)` | `uint8` |
//! | `char(n)`, `varchar(n)` | `character(n)`, `character varying(n)`; of length 0 `text` |
//! | `tinytext` to `longtext` | `text` |
//! | `binary`, `varbinary`, `tinyblob` to `longblob` | `bytea` |
//! | `date`, `time` | `date`, `time` |
//! | `datetime(p)`, `timestamp(p)` | `timestamp(p)`; a MySQL `timestamp` in UTC |
//! | `json` | `jsonb` |
//! | `enum`, `set`, `year` | `text`, only with TEXT COLUMNS |
//!
//! With TEXT COLUMNS any of these but binary strings is taken as `text`. Everything else (geometry, vector) can only be
//! left out.

use hw_repr::{ColumnType, NumericTypmod, ScalarType};

/// A column that cannot be ingested.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("unsupported type {column_type}")]
pub struct UnsupportedType {
    /// The MySQL type.
    pub column_type: String,
    /// Whether TEXT COLUMNS would help.
    pub possible_as_text: bool,
}

/// The type of the column that a MySQL column becomes. `data_type` and `column_type` are those of
/// `information_schema.columns`.
///
/// # Errors
/// When the column cannot be ingested so.
pub fn ingest_type(
    data_type: &str,
    column_type: &str,
    nullable: bool,
    as_text: bool,
) -> Result<ColumnType, UnsupportedType> {
    let data_type = data_type.to_ascii_lowercase();
    let unsupported =
        |possible_as_text| UnsupportedType { column_type: column_type.to_owned(), possible_as_text };
    let unsigned = column_type.to_ascii_lowercase().contains("unsigned");
    let native = match data_type.as_str() {
        "tinyint" | "smallint" if unsigned => ScalarType::UInt16,
        "tinyint" | "smallint" | "bool" | "boolean" => ScalarType::Int16,
        "mediumint" | "int" | "integer" if unsigned => ScalarType::UInt32,
        "mediumint" | "int" | "integer" => ScalarType::Int32,
        "bigint" if unsigned => ScalarType::UInt64,
        "bigint" => ScalarType::Int64,
        "decimal" | "numeric" => numeric_type(column_type),
        "float" => ScalarType::Float32,
        "double" | "real" => ScalarType::Float64,
        "bit" => ScalarType::UInt64,
        "char" => match first_argument(column_type).unwrap_or(1) {
            0 => ScalarType::String,
            n => ScalarType::Char { length: Some(n) },
        },
        "varchar" => match first_argument(column_type) {
            None | Some(0) => ScalarType::String,
            n => ScalarType::VarChar { max_length: n },
        },
        "tinytext" | "text" | "mediumtext" | "longtext" => ScalarType::String,
        "binary" | "varbinary" | "tinyblob" | "blob" | "mediumblob" | "longblob" if as_text => {
            return Err(unsupported(false));
        }
        "binary" | "varbinary" | "tinyblob" | "blob" | "mediumblob" | "longblob" => ScalarType::Bytes,
        "date" => ScalarType::Date,
        "time" => ScalarType::Time,
        "datetime" | "timestamp" => ScalarType::Timestamp { precision: Some(fraction_digits(column_type)) },
        "json" => ScalarType::Jsonb,
        "enum" | "set" | "year" if as_text => ScalarType::String,
        "enum" | "set" | "year" => return Err(unsupported(true)),
        _ => return Err(unsupported(false)),
    };
    Ok(if as_text { ScalarType::String.nullable(nullable) } else { native.nullable(nullable) })
}

/// Digits of fractional seconds of `datetime(p)`, `timestamp(p)`, `time(p)`.
pub(crate) fn fraction_digits(column_type: &str) -> u8 {
    first_argument(column_type).unwrap_or(0).min(6) as u8
}

/// The number in parentheses after a type's name.
pub(crate) fn first_argument(column_type: &str) -> Option<u32> {
    let (_, rest) = column_type.split_once('(')?;
    let (arguments, _) = rest.split_once(')')?;
    arguments.split(',').next()?.trim().parse().ok()
}

fn second_argument(column_type: &str) -> Option<u32> {
    let (_, rest) = column_type.split_once('(')?;
    let (arguments, _) = rest.split_once(')')?;
    arguments.split(',').nth(1)?.trim().parse().ok()
}

fn numeric_type(column_type: &str) -> ScalarType {
    let precision = first_argument(column_type).unwrap_or(10);
    let scale = second_argument(column_type).unwrap_or(0);
    match (u8::try_from(precision), u8::try_from(scale)) {
        (Ok(precision @ 1..=39), Ok(scale)) => {
            ScalarType::Numeric { typmod: Some(NumericTypmod { precision, scale }) }
        }
        _ => ScalarType::NUMERIC,
    }
}

/// The values of `enum('a','b')` or `set('a','b')`, in order.
pub(crate) fn enum_values(column_type: &str) -> Option<Vec<String>> {
    let open = column_type.find('(')?;
    let mut rest = column_type[open + 1..].chars().peekable();
    let mut values = Vec::new();
    loop {
        if rest.next()? != '\'' {
            return None;
        }
        let mut value = String::new();
        loop {
            match rest.next()? {
                '\'' if rest.peek() == Some(&'\'') => {
                    rest.next();
                    value.push('\'');
                }
                '\'' => break,
                c => value.push(c),
            }
        }
        values.push(value);
        match rest.next()? {
            ',' => {}
            ')' => return Some(values),
            _ => return None,
        }
    }
}

/// A column type as it is compared between two looks at a table: without what has no meaning for values (display widths of
/// integers and years, ZEROFILL).
pub(crate) fn normalized(data_type: &str, column_type: &str) -> String {
    let lower = if matches!(data_type, "enum" | "set") {
        column_type.to_owned()
    } else {
        column_type.to_ascii_lowercase()
    };
    match data_type.to_ascii_lowercase().as_str() {
        "tinyint" | "smallint" | "mediumint" | "int" | "bigint" | "year" => {
            let unsigned = if lower.contains("unsigned") { " unsigned" } else { "" };
            format!("{}{unsigned}", data_type.to_ascii_lowercase())
        }
        _ => lower.replace(" zerofill", ""),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn mapping() {
        let t = |data, column| ingest_type(data, column, true, false).map(|t| t.scalar_type).ok();
        assert_eq!(t("tinyint", "tinyint(1)"), Some(ScalarType::Int16));
        assert_eq!(t("smallint", "smallint(5) unsigned"), Some(ScalarType::UInt16));
        assert_eq!(t("mediumint", "mediumint unsigned zerofill"), Some(ScalarType::UInt32));
        assert_eq!(t("bigint", "bigint unsigned"), Some(ScalarType::UInt64));
        let numeric =
            |precision, scale| Some(ScalarType::Numeric { typmod: Some(NumericTypmod { precision, scale }) });
        assert_eq!(t("decimal", "decimal(12,2)"), numeric(12, 2));
        assert_eq!(t("decimal", "decimal(39,30) unsigned"), numeric(39, 30));
        assert_eq!(t("decimal", "decimal(65,30)"), Some(ScalarType::NUMERIC));
        assert_eq!(t("char", "char(3)"), Some(ScalarType::Char { length: Some(3) }));
        assert_eq!(t("varchar", "varchar(255)"), Some(ScalarType::VarChar { max_length: Some(255) }));
        assert_eq!(t("datetime", "datetime"), Some(ScalarType::Timestamp { precision: Some(0) }));
        assert_eq!(t("timestamp", "timestamp(6)"), Some(ScalarType::Timestamp { precision: Some(6) }));
        assert_eq!(t("enum", "enum('a')"), None);
        assert_eq!(t("geometry", "geometry"), None);
        assert!(ingest_type("enum", "enum('a')", true, false).unwrap_err().possible_as_text);
        assert!(!ingest_type("point", "point", true, true).unwrap_err().possible_as_text);
        assert_eq!(ingest_type("year", "year(4)", false, true).unwrap(), ScalarType::String.nullable(false));
    }

    #[test]
    fn values_of_enums() {
        assert_eq!(enum_values("enum('a','b''c','d,e',')')").unwrap(), ["a", "b'c", "d,e", ")"]);
        assert_eq!(enum_values("set('')").unwrap(), [""]);
        assert_eq!(enum_values("enum("), None);
        assert_eq!(enum_values("enum('a'x"), None);
    }

    #[test]
    fn what_counts_as_a_change() {
        assert_eq!(normalized("int", "int(11) unsigned zerofill"), normalized("int", "int unsigned"));
        assert_ne!(normalized("int", "int"), normalized("int", "int unsigned"));
        assert_ne!(normalized("varchar", "varchar(5)"), normalized("varchar", "varchar(6)"));
        assert_ne!(normalized("enum", "enum('A')"), normalized("enum", "enum('a')"));
    }
}
