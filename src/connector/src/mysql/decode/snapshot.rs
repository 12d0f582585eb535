//! Values of a SELECT over the binary protocol to rows.
//!
//! The session is set so that nothing is converted on the way: no character set for results, time zone UTC. ENUM and SET
//! are selected as their numbers ([`select_list`]).

use hw_expr::EvalError;
use hw_repr::{Row, RowPacker};
use mysql_async::Value;

use super::temporal::Civil;
use super::{ColumnPlan, DecodeError, Kind, TablePlan, json};

/// What to select so that [`row`] can read it.
pub(crate) fn select_list(plan: &TablePlan) -> String {
    let columns = plan.columns.iter().map(|c| {
        let name = quote(&c.name);
        match c.kind {
            Kind::Enum(_) | Kind::Set(_) => format!("CAST({name} AS UNSIGNED)"),
            _ => name,
        }
    });
    let list = columns.collect::<Vec<_>>().join(", ");
    // A table may have only columns that are left out.
    if list.is_empty() { "1".to_owned() } else { list }
}

/// A quoted identifier.
pub(crate) fn quote(name: &str) -> String {
    format!("`{}`", name.replace('`', "``"))
}

/// The row of a result row. The inner error stands in place of a row with a value that cannot be held; the outer one says
/// that the table is not what the plan says.
pub(crate) fn row(plan: &TablePlan, values: &[Option<Value>]) -> Result<Result<Row, EvalError>, EvalError> {
    let mut row = Row::default();
    let mut packer = row.packer();
    for (i, column) in plan.columns.iter().enumerate() {
        let pushed = match values.get(i) {
            Some(Some(value)) => push(column, value, &mut packer),
            _ => Err(DecodeError::shape("the result has no such column")),
        };
        match pushed {
            Ok(()) => {}
            Err(DecodeError::Value(what)) => return Ok(Err(plan.error(&column.name, &what))),
            Err(DecodeError::Shape(what)) => return Err(plan.error(&column.name, &what)),
        }
    }
    Ok(Ok(row))
}

fn push(column: &ColumnPlan, value: &Value, packer: &mut RowPacker<'_>) -> Result<(), DecodeError> {
    let unexpected =
        || DecodeError::shape(format!("unexpected kind of value in a result: {}", kind_of(value)));
    if *value == Value::NULL {
        return column.push_null(packer);
    }
    let int = || match value {
        Value::Int(v) => Ok(i128::from(*v)),
        Value::UInt(v) => Ok(i128::from(*v)),
        _ => Err(unexpected()),
    };
    let bytes = || match value {
        Value::Bytes(b) => Ok(b.as_slice()),
        _ => Err(unexpected()),
    };
    let utf8 = || bytes().and_then(|b| std::str::from_utf8(b).map_err(|_| unexpected()));
    let civil = || match *value {
        Value::Date(year, month, day, hour, minute, second, micros) => {
            Ok(Civil { year, month, day, hour, minute, second, micros })
        }
        _ => Err(unexpected()),
    };
    match &column.kind {
        Kind::Int { .. } => column.push_int(int()?, packer),
        Kind::Float => match value {
            Value::Float(v) => column.push_float(*v, packer),
            _ => Err(unexpected()),
        },
        Kind::Double => match value {
            Value::Double(v) => column.push_double(*v, packer),
            _ => Err(unexpected()),
        },
        Kind::Decimal => column.push_decimal(utf8()?, packer),
        Kind::Bit => column.push_bit(bytes()?, packer),
        Kind::Text { .. } => column.push_text(bytes()?, packer),
        Kind::Bytes { .. } => column.push_bytes(bytes()?, packer),
        Kind::Date => column.push_date(civil()?, packer),
        Kind::DateTime | Kind::Timestamp => column.push_datetime(civil()?, packer),
        Kind::Time => match *value {
            Value::Time(negative, days, hours, minutes, seconds, micros) => {
                let hours = i64::from(days) * 24 + i64::from(hours);
                let total = (hours * 60 + i64::from(minutes)) * 60 + i64::from(seconds);
                let total = total * 1_000_000 + i64::from(micros);
                column.push_time(if negative { -total } else { total }, packer)
            }
            _ => Err(unexpected()),
        },
        Kind::Year => column.push_year(u32::try_from(int()?).map_err(|_| unexpected())?, packer),
        Kind::Enum(_) => column.push_enum(u64::try_from(int()?).map_err(|_| unexpected())?, packer),
        Kind::Set(_) => column.push_set(u64::try_from(int()?).map_err(|_| unexpected())?, packer),
        Kind::Json => column.push_json(json::from_text(utf8()?)?, packer),
    }
}

/// Without the value: it may be secret.
fn kind_of(value: &Value) -> &'static str {
    match value {
        Value::NULL => "NULL",
        Value::Bytes(_) => "bytes",
        Value::Int(_) | Value::UInt(_) => "integer",
        Value::Float(_) | Value::Double(_) => "float",
        Value::Date(..) => "date",
        Value::Time(..) => "time",
    }
}
