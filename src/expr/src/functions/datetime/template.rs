//! Templates of `to_char`, `to_timestamp` and `to_date` (PostgreSQL manual 9.8, tables 9.27 and 9.28).

/// One piece of a template.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Node {
    /// A pattern, by the name it has in the manual (letter case kept where it means something).
    Field { name: &'static str, fill: bool, ordinal: Option<bool> },
    /// A separator or blank.
    Separator(char),
    /// Text that stands for itself.
    Literal(char),
    /// `FX`: from here on the text must follow the template exactly.
    Exact,
}

/// Patterns; of several that fit the longest counts. Names that differ by case only are all listed.
const FIELDS: &[&str] = &[
    "SSSSS", "SSSS", "Y,YYY", "YYYY", "IYYY", "YYY", "IYY", "YY", "IY", "Y", "I", "HH24", "HH12", "HH", "MI",
    "SS", "MS", "US", "FF1", "FF2", "FF3", "FF4", "FF5", "FF6", "A.M.", "a.m.", "P.M.", "p.m.", "AM", "am",
    "PM", "pm", "B.C.", "b.c.", "A.D.", "a.d.", "BC", "bc", "AD", "ad", "MONTH", "Month", "month", "MON",
    "Mon", "mon", "MM", "DAY", "Day", "day", "DY", "Dy", "dy", "IDDD", "DDD", "DD", "ID", "D", "IW", "WW",
    "W", "CC", "J", "Q", "RM", "rm", "TZH", "TZM", "TZ", "tz", "OF",
];

/// Patterns whose case means something; all others are known in any case.
fn case_matters(name: &str) -> bool {
    matches!(
        name,
        "MONTH"
            | "Month"
            | "month"
            | "MON"
            | "Mon"
            | "mon"
            | "DAY"
            | "Day"
            | "day"
            | "DY"
            | "Dy"
            | "dy"
            | "RM"
            | "rm"
            | "TZ"
            | "tz"
            | "AM"
            | "am"
            | "PM"
            | "pm"
            | "A.M."
            | "a.m."
            | "P.M."
            | "p.m."
            | "BC"
            | "bc"
            | "AD"
            | "ad"
            | "B.C."
            | "b.c."
            | "A.D."
            | "a.d."
    )
}

/// Whether a field is made of digits.
pub(super) fn is_number(name: &str) -> bool {
    const NUMBERS: &[&str] = &[
        "CC", "D", "DD", "DDD", "FF1", "FF2", "FF3", "FF4", "FF5", "FF6", "HH", "HH12", "HH24", "I", "ID",
        "IDDD", "IW", "IY", "IYY", "IYYY", "J", "MI", "MM", "MS", "Q", "SS", "SSSS", "SSSSS", "TZM", "US",
        "W", "WW", "Y", "Y,YYY", "YY", "YYY", "YYYY",
    ];
    NUMBERS.contains(&name)
}

fn field(rest: &str) -> Option<&'static str> {
    let fits = |f: &&'static str| {
        let Some(head) = rest.get(..f.len()) else { return false };
        if case_matters(f) { head == *f } else { head.eq_ignore_ascii_case(f) }
    };
    FIELDS.iter().copied().filter(fits).max_by_key(|f| f.len())
}

/// Reads a template.
pub(super) fn parse(template: &str) -> Vec<Node> {
    let mut out = vec![];
    let mut rest = template;
    let mut fill = true;
    while let Some(c) = rest.chars().next() {
        if let Some(after) = rest.strip_prefix("FM").or_else(|| rest.strip_prefix("fm")) {
            fill = false;
            rest = after;
            continue;
        }
        if let Some(after) = ["TM", "tm"].iter().find_map(|p| rest.strip_prefix(p)) {
            fill = false;
            rest = after;
            continue;
        }
        if let Some(after) = rest.strip_prefix("FX").or_else(|| rest.strip_prefix("fx")) {
            out.push(Node::Exact);
            rest = after;
            continue;
        }
        if let Some(name) = field(rest) {
            rest = &rest[name.len()..];
            let ordinal = match rest.get(..2) {
                Some("TH") => Some(true),
                Some("th") => Some(false),
                _ => None,
            };
            if ordinal.is_some() {
                rest = &rest[2..];
            }
            out.push(Node::Field { name, fill, ordinal });
            fill = true;
            continue;
        }
        rest = &rest[c.len_utf8()..];
        match c {
            '"' => {
                let mut chars = rest.char_indices();
                let mut end = rest.len();
                while let Some((at, c)) = chars.next() {
                    match c {
                        '"' => {
                            end = at + 1;
                            break;
                        }
                        '\\' => {
                            if let Some((_, c)) = chars.next() {
                                out.push(Node::Literal(c));
                            }
                        }
                        c => out.push(Node::Literal(c)),
                    }
                }
                rest = &rest[end..];
            }
            '\\' if rest.starts_with('"') => {
                out.push(Node::Separator('"'));
                rest = &rest[1..];
            }
            c if c.is_ascii_punctuation() || c.is_whitespace() => out.push(Node::Separator(c)),
            c => out.push(Node::Literal(c)),
        }
    }
    out
}

pub(super) const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];
pub(super) const DAYS: [&str; 7] =
    ["Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"];
pub(super) const ROMAN_MONTHS: [&str; 12] =
    ["I", "II", "III", "IV", "V", "VI", "VII", "VIII", "IX", "X", "XI", "XII"];

/// The ordinal ending of a number.
pub(crate) fn ordinal_suffix(n: i64, upper: bool) -> &'static str {
    let n = n.abs();
    let index = match (n % 100, n % 10) {
        (11..=13, _) => 3,
        (_, 1) => 0,
        (_, 2) => 1,
        (_, 3) => 2,
        _ => 3,
    };
    if upper { ["ST", "ND", "RD", "TH"][index] } else { ["st", "nd", "rd", "th"][index] }
}
