//! Arithmetic on integers, floats and numerics (PostgreSQL manual 9.3). Date and time arithmetic is with its family.

use hw_repr::Datum;
use hw_repr::adt::numeric;

use super::out_of_range;
use super::signature::{f, op};
use crate::error::EvalError;
use crate::func::Registry;

/// Operators on two integer types whose result is the wider one.
macro_rules! int_binary {
    ($r:ident, $name:literal: $($l:literal $lget:ident, $rt:literal $rget:ident, $res:literal $ty:ty => $variant:ident;)+) => {
        $(
            $r.add(op(concat!($l, " + ", $rt, " -> ", $res), |_, _, a| {
                let v = <$ty>::from(a[0].$lget()).checked_add(<$ty>::from(a[1].$rget()));
                v.map(Datum::$variant).ok_or_else(|| out_of_range($name))
            }));
            $r.add(op(concat!($l, " - ", $rt, " -> ", $res), |_, _, a| {
                let v = <$ty>::from(a[0].$lget()).checked_sub(<$ty>::from(a[1].$rget()));
                v.map(Datum::$variant).ok_or_else(|| out_of_range($name))
            }));
            $r.add(op(concat!($l, " * ", $rt, " -> ", $res), |_, _, a| {
                let v = <$ty>::from(a[0].$lget()).checked_mul(<$ty>::from(a[1].$rget()));
                v.map(Datum::$variant).ok_or_else(|| out_of_range($name))
            }));
            $r.add(op(concat!($l, " / ", $rt, " -> ", $res), |_, _, a| {
                let divisor = <$ty>::from(a[1].$rget());
                if divisor == 0 {
                    return Err(EvalError::DivisionByZero);
                }
                let v = <$ty>::from(a[0].$lget()).checked_div(divisor);
                v.map(Datum::$variant).ok_or_else(|| out_of_range($name))
            }));
        )+
    };
}

/// Operators and functions on one integer type.
macro_rules! int_alone {
    ($($r:ident: $t:literal $get:ident $variant:ident;)+) => {
        $(
            $r.add(op(concat!($t, " % ", $t, " -> ", $t), |_, _, a| modulo!(a, $get, $variant)));
            $r.add(f(concat!("mod(", $t, ", ", $t, ") -> ", $t), |_, _, a| modulo!(a, $get, $variant)));
            $r.add(op(concat!($t, " & ", $t, " -> ", $t, " total"), |_, _, a| Ok(Datum::$variant(a[0].$get() & a[1].$get()))));
            $r.add(op(concat!($t, " | ", $t, " -> ", $t, " total"), |_, _, a| Ok(Datum::$variant(a[0].$get() | a[1].$get()))));
            $r.add(op(concat!($t, " # ", $t, " -> ", $t, " total"), |_, _, a| Ok(Datum::$variant(a[0].$get() ^ a[1].$get()))));
            $r.add(op(concat!("~ ", $t, " -> ", $t, " total"), |_, _, a| Ok(Datum::$variant(!a[0].$get()))));
            $r.add(op(concat!("+ ", $t, " -> ", $t, " total"), |_, _, a| Ok(a[0])));
            $r.add(op(concat!($t, " << int4 -> ", $t, " total"), |_, _, a| {
                Ok(Datum::$variant(a[0].$get().wrapping_shl(a[1].unwrap_int32() as u32)))
            }));
            $r.add(op(concat!($t, " >> int4 -> ", $t, " total"), |_, _, a| {
                Ok(Datum::$variant(a[0].$get().wrapping_shr(a[1].unwrap_int32() as u32)))
            }));
        )+
    };
}

macro_rules! modulo {
    ($a:ident, $get:ident, $variant:ident) => {{
        let divisor = $a[1].$get();
        if divisor == 0 {
            return Err(EvalError::DivisionByZero);
        }
        Ok(Datum::$variant($a[0].$get().wrapping_rem(divisor)))
    }};
}

macro_rules! signed_alone {
    ($($r:ident: $t:literal $name:literal $get:ident $variant:ident;)+) => {
        $(
            $r.add(op(concat!("- ", $t, " -> ", $t), |_, _, a| {
                a[0].$get().checked_neg().map(Datum::$variant).ok_or_else(|| out_of_range($name))
            }));
            $r.add(op(concat!("@ ", $t, " -> ", $t), |_, _, a| {
                a[0].$get().checked_abs().map(Datum::$variant).ok_or_else(|| out_of_range($name))
            }));
            $r.add(f(concat!("abs(", $t, ") -> ", $t), |_, _, a| {
                a[0].$get().checked_abs().map(Datum::$variant).ok_or_else(|| out_of_range($name))
            }));
        )+
    };
}

/// The result of a float operation: an infinity or zero that no operand explains is an error.
pub(crate) fn check_f64(v: f64, inf_ok: bool, zero_ok: bool) -> Result<f64, EvalError> {
    if v.is_infinite() && !inf_ok {
        return Err(EvalError::new("22003", "value out of range: overflow"));
    }
    if v == 0.0 && !zero_ok {
        return Err(EvalError::new("22003", "value out of range: underflow"));
    }
    Ok(v)
}

/// As [`check_f64`].
pub(crate) fn check_f32(v: f32, inf_ok: bool, zero_ok: bool) -> Result<f32, EvalError> {
    check_f64(f64::from(v), inf_ok, zero_ok).map(|_| v)
}

macro_rules! float_binary {
    ($r:ident, $check:ident, $ty:ty, $variant:ident, $res:literal: $($l:literal $lget:ident, $rt:literal $rget:ident;)+) => {
        $(
            $r.add(op(concat!($l, " + ", $rt, " -> ", $res), |_, _, a| {
                let (x, y) = (<$ty>::from(a[0].$lget().0), <$ty>::from(a[1].$rget().0));
                $check(x + y, x.is_infinite() || y.is_infinite(), true).map(|v| Datum::$variant(v.into()))
            }));
            $r.add(op(concat!($l, " - ", $rt, " -> ", $res), |_, _, a| {
                let (x, y) = (<$ty>::from(a[0].$lget().0), <$ty>::from(a[1].$rget().0));
                $check(x - y, x.is_infinite() || y.is_infinite(), true).map(|v| Datum::$variant(v.into()))
            }));
            $r.add(op(concat!($l, " * ", $rt, " -> ", $res), |_, _, a| {
                let (x, y) = (<$ty>::from(a[0].$lget().0), <$ty>::from(a[1].$rget().0));
                let v = $check(x * y, x.is_infinite() || y.is_infinite(), x == 0.0 || y == 0.0)?;
                Ok(Datum::$variant(v.into()))
            }));
            $r.add(op(concat!($l, " / ", $rt, " -> ", $res), |_, _, a| {
                let (x, y) = (<$ty>::from(a[0].$lget().0), <$ty>::from(a[1].$rget().0));
                if y == 0.0 && !x.is_nan() {
                    return Err(EvalError::DivisionByZero);
                }
                let v = $check(x / y, x.is_infinite(), x == 0.0 || y.is_infinite())?;
                Ok(Datum::$variant(v.into()))
            }));
        )+
    };
}

macro_rules! float_alone {
    ($($r:ident: $t:literal $get:ident $variant:ident;)+) => {
        $(
            $r.add(op(concat!("- ", $t, " -> ", $t, " total"), |_, _, a| Ok(Datum::$variant(-a[0].$get()))));
            $r.add(op(concat!("+ ", $t, " -> ", $t, " total"), |_, _, a| Ok(a[0])));
            $r.add(op(concat!("@ ", $t, " -> ", $t, " total"), |_, _, a| Ok(Datum::$variant(a[0].$get().0.abs().into()))));
            $r.add(f(concat!("abs(", $t, ") -> ", $t, " total"), |_, _, a| Ok(Datum::$variant(a[0].$get().0.abs().into()))));
        )+
    };
}

pub(super) fn register(r: &mut Registry) {
    int_binary! { r, "smallint":
        "int2" unwrap_int16, "int2" unwrap_int16, "int2" i16 => Int16;
    }
    int_binary! { r, "integer":
        "int4" unwrap_int32, "int4" unwrap_int32, "int4" i32 => Int32;
        "int2" unwrap_int16, "int4" unwrap_int32, "int4" i32 => Int32;
        "int4" unwrap_int32, "int2" unwrap_int16, "int4" i32 => Int32;
    }
    int_binary! { r, "bigint":
        "int8" unwrap_int64, "int8" unwrap_int64, "int8" i64 => Int64;
        "int2" unwrap_int16, "int8" unwrap_int64, "int8" i64 => Int64;
        "int8" unwrap_int64, "int2" unwrap_int16, "int8" i64 => Int64;
        "int4" unwrap_int32, "int8" unwrap_int64, "int8" i64 => Int64;
        "int8" unwrap_int64, "int4" unwrap_int32, "int8" i64 => Int64;
    }
    int_binary! { r, "uint2": "uint2" unwrap_uint16, "uint2" unwrap_uint16, "uint2" u16 => UInt16; }
    int_binary! { r, "uint4": "uint4" unwrap_uint32, "uint4" unwrap_uint32, "uint4" u32 => UInt32; }
    int_binary! { r, "uint8": "uint8" unwrap_uint64, "uint8" unwrap_uint64, "uint8" u64 => UInt64; }
    int_alone! {
        r: "int2" unwrap_int16 Int16;
        r: "int4" unwrap_int32 Int32;
        r: "int8" unwrap_int64 Int64;
        r: "uint2" unwrap_uint16 UInt16;
        r: "uint4" unwrap_uint32 UInt32;
        r: "uint8" unwrap_uint64 UInt64;
    }
    signed_alone! {
        r: "int2" "smallint" unwrap_int16 Int16;
        r: "int4" "integer" unwrap_int32 Int32;
        r: "int8" "bigint" unwrap_int64 Int64;
    }
    float_binary! { r, check_f32, f32, Float32, "float4": "float4" unwrap_float32, "float4" unwrap_float32; }
    float_binary! { r, check_f64, f64, Float64, "float8":
        "float8" unwrap_float64, "float8" unwrap_float64;
        "float4" unwrap_float32, "float8" unwrap_float64;
        "float8" unwrap_float64, "float4" unwrap_float32;
    }
    float_alone! {
        r: "float4" unwrap_float32 Float32;
        r: "float8" unwrap_float64 Float64;
    }
    register_numeric(r);
}

fn register_numeric(r: &mut Registry) {
    r.add(op("numeric + numeric -> numeric", |_, _, a| {
        Ok(Datum::Numeric(numeric::add(&a[0].unwrap_numeric(), &a[1].unwrap_numeric())?))
    }));
    r.add(op("numeric - numeric -> numeric", |_, _, a| {
        Ok(Datum::Numeric(numeric::sub(&a[0].unwrap_numeric(), &a[1].unwrap_numeric())?))
    }));
    r.add(op("numeric * numeric -> numeric", |_, _, a| {
        Ok(Datum::Numeric(numeric::mul(&a[0].unwrap_numeric(), &a[1].unwrap_numeric())?))
    }));
    r.add(op("numeric / numeric -> numeric", |_, _, a| {
        Ok(Datum::Numeric(numeric::div(&a[0].unwrap_numeric(), &a[1].unwrap_numeric())?))
    }));
    r.add(op("numeric % numeric -> numeric", |_, _, a| {
        Ok(Datum::Numeric(numeric::rem(&a[0].unwrap_numeric(), &a[1].unwrap_numeric())?))
    }));
    r.add(f("mod(numeric, numeric) -> numeric", |_, _, a| {
        Ok(Datum::Numeric(numeric::rem(&a[0].unwrap_numeric(), &a[1].unwrap_numeric())?))
    }));
    r.add(f("div(numeric, numeric) -> numeric", |_, _, a| {
        Ok(Datum::Numeric(numeric::div_trunc(&a[0].unwrap_numeric(), &a[1].unwrap_numeric())?))
    }));
    r.add(op("- numeric -> numeric total", |_, _, a| {
        Ok(Datum::Numeric(numeric::neg(&a[0].unwrap_numeric())))
    }));
    r.add(op("+ numeric -> numeric total", |_, _, a| Ok(a[0])));
    r.add(op("@ numeric -> numeric total", |_, _, a| {
        Ok(Datum::Numeric(numeric::abs(&a[0].unwrap_numeric())))
    }));
    r.add(f("abs(numeric) -> numeric total", |_, _, a| {
        Ok(Datum::Numeric(numeric::abs(&a[0].unwrap_numeric())))
    }));
}
