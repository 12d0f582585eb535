//! `jsonpath`: the SQL/JSON path language as PostgreSQL has it (manual 8.14.7 and 9.16.2), its parser and printer.
//!
//! A value of the type is kept as its canonical text, which is what [`Path`]'s `Display` gives and [`parse`] reads
//! again. Evaluation is in `hw_expr`, and so is the check that the pattern of `like_regex` is a regular expression.
//!
//! Invariant: a path has at most [`MAX_OPERATORS`] operators, filters and subscripts, so that its depth is bounded;
//! the steps of a chain `$.a.b.c` are a list and add none.

mod lexer;
mod parser;
mod print;

use std::fmt;

use super::Numeric;

pub use parser::parse;

/// The most operators, filters and subscripts in one path.
pub const MAX_OPERATORS: usize = 1000;

/// A path.
#[derive(Debug, Clone, PartialEq)]
pub struct Path {
    /// Whether structural errors are passed over and arrays are unwrapped.
    pub lax: bool,
    /// What is evaluated.
    pub expr: Expr,
}

/// A value and the steps that are taken from it.
#[derive(Debug, Clone, PartialEq)]
pub struct Expr {
    /// Where it begins.
    pub head: Head,
    /// The accessors, methods and filters after it, in order.
    pub steps: Vec<Step>,
}

/// What an expression begins with.
#[derive(Debug, Clone, PartialEq)]
pub enum Head {
    /// `$`
    Root,
    /// `@`
    Current,
    /// `last`
    Last,
    /// `null`
    Null,
    /// `true`, `false`
    Bool(bool),
    /// A number.
    Number(Numeric),
    /// A string.
    String(String),
    /// `$name`
    Variable(String),
    /// `+` or `-` before an operand.
    Unary(Sign, Box<Expr>),
    /// Two operands.
    Binary(Arithmetic, Box<Expr>, Box<Expr>),
    /// A predicate, whose value is true, false or null.
    Predicate(Box<Predicate>),
}

/// An operator before one operand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sign {
    /// `+`
    Plus,
    /// `-`
    Minus,
}

/// An operator between two operands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Arithmetic {
    /// `+`
    Add,
    /// `-`
    Sub,
    /// `*`
    Mul,
    /// `/`
    Div,
    /// `%`
    Mod,
}

/// A comparison.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Comparison {
    /// `==`
    Eq,
    /// `!=`, `<>`
    NotEq,
    /// `<`
    Lt,
    /// `<=`
    Le,
    /// `>`
    Gt,
    /// `>=`
    Ge,
}

/// What is true, false or unknown.
#[derive(Debug, Clone, PartialEq)]
pub enum Predicate {
    /// `a && b`
    And(Box<Predicate>, Box<Predicate>),
    /// `a || b`
    Or(Box<Predicate>, Box<Predicate>),
    /// `!(a)`
    Not(Box<Predicate>),
    /// `(a) is unknown`
    IsUnknown(Box<Predicate>),
    /// Whether some pair of items compares so.
    Compare(Comparison, Expr, Expr),
    /// `a starts with "…"`; the prefix is a string or a variable.
    StartsWith(Expr, Expr),
    /// `a like_regex "…" flag "…"`
    LikeRegex(Expr, String, RegexFlags),
    /// `exists (a)`
    Exists(Expr),
}

/// The flags of `like_regex` (XQuery's).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct RegexFlags {
    /// `i`: upper and lower case are the same.
    pub ignore_case: bool,
    /// `s`: the dot stands for newlines too.
    pub dot_all: bool,
    /// `m`: `^` and `$` match at newlines.
    pub multi_line: bool,
    /// `x`, which is allowed beside `q` only and has no effect then.
    pub extended: bool,
    /// `q`: the pattern is plain text.
    pub quote: bool,
}

/// A step of a chain.
#[derive(Debug, Clone, PartialEq)]
pub enum Step {
    /// `.key`
    Key(String),
    /// `.*`
    AnyKey,
    /// `[*]`
    AnyElement,
    /// `[a, b to c]`
    Index(Vec<(Expr, Option<Expr>)>),
    /// `.**{first to last}`; the level `last`, of leaves, is `u32::MAX`.
    Descend(u32, u32),
    /// `?(a)`
    Filter(Predicate),
    /// `.method()`
    Method(Method),
    /// `.datetime()`, with its template
    Datetime(Option<String>),
}

/// A method without arguments.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Method {
    /// `.type()`
    Type,
    /// `.size()`
    Size,
    /// `.double()`
    Double,
    /// `.ceiling()`
    Ceiling,
    /// `.floor()`
    Floor,
    /// `.abs()`
    Abs,
    /// `.keyvalue()`
    KeyValue,
}

impl Method {
    /// The name in a path.
    pub fn name(self) -> &'static str {
        match self {
            Method::Type => "type",
            Method::Size => "size",
            Method::Double => "double",
            Method::Ceiling => "ceiling",
            Method::Floor => "floor",
            Method::Abs => "abs",
            Method::KeyValue => "keyvalue",
        }
    }
}

impl Arithmetic {
    /// The operator's symbol.
    pub fn symbol(self) -> &'static str {
        match self {
            Arithmetic::Add => "+",
            Arithmetic::Sub => "-",
            Arithmetic::Mul => "*",
            Arithmetic::Div => "/",
            Arithmetic::Mod => "%",
        }
    }
}

impl Sign {
    /// The operator's symbol.
    pub fn symbol(self) -> &'static str {
        match self {
            Sign::Plus => "+",
            Sign::Minus => "-",
        }
    }
}

impl Comparison {
    /// The operator's symbol, in canonical form.
    pub fn symbol(self) -> &'static str {
        match self {
            Comparison::Eq => "==",
            Comparison::NotEq => "!=",
            Comparison::Lt => "<",
            Comparison::Le => "<=",
            Comparison::Gt => ">",
            Comparison::Ge => ">=",
        }
    }
}

/// The canonical text.
impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&print::path(self))
    }
}

#[cfg(test)]
mod tests {
    use super::parse;

    #[test]
    fn canonical_text_is_postgresql_s_and_is_read_again() {
        for (text, canonical) in [
            ("$", "$"),
            ("lax $.a.b", "$.\"a\".\"b\""),
            ("STRICT $ . a [ * ]", "strict $.\"a\"[*]"),
            ("$[1,2 to 3, last - 1]", "$[1,2 to 3,last - 1]"),
            ("$.**{2}", "$.**{2}"),
            ("$.**{0 to last}.a", "$.**.\"a\""),
            ("$.**{last to 3}", "$.**{last to 3}"),
            (
                "$ ? (@.x == 1 && @.y > 2 || !(@.z <> 3))",
                "$?(@.\"x\" == 1 && @.\"y\" > 2 || !(@.\"z\" != 3))",
            ),
            ("$ ? (@ like_regex \"a.*\" flag \"qsi\")", "$?(@ like_regex \"a.*\" flag \"isq\")"),
            ("$?(exists(@.a)&&(@.b==1)is unknown)", "$?(exists (@.\"a\") && (@.\"b\" == 1) is unknown)"),
            ("1+2+3", "((1 + 2) + 3)"),
            ("- 1.50 + 2e2", "(-1.50 + 200)"),
            ("-$.a", "(-$.\"a\")"),
            ("5.", "5"),
            (".5", "0.5"),
            ("1..type()", "(1).type()"),
            ("($ * 2).abs() + 1", "(($ * 2).abs() + 1)"),
            ("$.a/* c */.\\u0062", "$.\"a\".\"b\""),
            ("\"\\ud83d\\ude04\\x41\\q\"", "\"😄Aq\""),
            ("$.datetime(\"YYYY\").keyvalue()", "$.datetime(\"YYYY\").keyvalue()"),
            ("$\"y z\" + $x", "($\"y z\" + $\"x\")"),
        ] {
            let path = parse(text).unwrap_or_else(|e| panic!("{text}: {e}"));
            assert_eq!(path.to_string(), canonical, "{text}");
            assert_eq!(parse(canonical).expect("canonical text is a path"), path, "{text}");
        }
    }

    #[test]
    fn refused_with_the_place() {
        for (text, message) in [
            ("", "invalid input syntax for type jsonpath: \"\""),
            ("$.a b", "syntax error at end of jsonpath input"),
            ("$ b c", "syntax error at or near \" \" of jsonpath input"),
            ("$ $x", "syntax error at or near \"$x\" of jsonpath input"),
            ("1a", "trailing junk after numeric literal at or near \"1a\" of jsonpath input"),
            ("1e+", "invalid numeric literal at or near \"1e+\" of jsonpath input"),
            ("@", "@ is not allowed in root expressions"),
            ("$ ? (@ == last)", "LAST is allowed only in array subscripts"),
            ("$ == 1 == 2", "syntax error at or near \"==\" of jsonpath input"),
            ("\"abc", "unexpected end of quoted string at end of jsonpath input"),
            ("$ /* c", "unexpected end of comment at end of jsonpath input"),
        ] {
            assert_eq!(&*parse(text).expect_err(text).message, message, "{text}");
        }
    }

    #[test]
    fn depth_is_bounded() {
        for text in [
            format!("{}$", "(".repeat(1_000_000)),
            format!("{}1", "-".repeat(1_000_000)),
            format!("1{}", "+1".repeat(1_000_000)),
            format!("${}", "?(@".repeat(1_000_000)),
        ] {
            assert_eq!(parse(&text).expect_err("too deep").sqlstate(), "54001");
        }
        let long = format!("1{}", "+1".repeat(900));
        let canonical = parse(&long).expect("900 operators are allowed").to_string();
        assert_eq!(parse(&canonical).expect("canonical text is a path").to_string(), canonical);
        assert!(parse(&format!("${}", ".a".repeat(100_000))).is_ok());
    }
}
