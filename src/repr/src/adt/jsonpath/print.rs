//! The canonical text of a path: names quoted, one blank around operators, brackets only where they mean something
//! (and around the operator at the top, as PostgreSQL has it).

use super::{Arithmetic, Expr, Head, Path, Predicate, RegexFlags, Step};
use crate::adt::{jsonb, numeric};

pub(super) fn path(path: &Path) -> String {
    let mut out = String::new();
    if !path.lax {
        out.push_str("strict ");
    }
    expr(&path.expr, true, &mut out);
    out
}

/// How strongly an expression binds; what binds no more strongly than the operator around it is bracketed.
fn priority(e: &Expr) -> u8 {
    match &e.head {
        Head::Predicate(p) => predicate_priority(p),
        Head::Binary(Arithmetic::Add | Arithmetic::Sub, ..) => 3,
        Head::Binary(..) => 4,
        Head::Unary(..) => 5,
        _ => 6,
    }
}

fn predicate_priority(p: &Predicate) -> u8 {
    match p {
        Predicate::Or(..) => 0,
        Predicate::And(..) => 1,
        Predicate::Compare(..) | Predicate::StartsWith(..) => 2,
        _ => 6,
    }
}

fn operand(e: &Expr, within: u8, out: &mut String) {
    expr(e, priority(e) <= within, out);
}

fn bracketed(brackets: bool, out: &mut String, f: impl FnOnce(&mut String)) {
    if brackets {
        out.push('(');
    }
    f(out);
    if brackets {
        out.push(')');
    }
}

fn expr(e: &Expr, brackets: bool, out: &mut String) {
    stacker::maybe_grow(32 << 10, 1 << 20, || expr_here(e, brackets, out));
}

fn expr_here(e: &Expr, brackets: bool, out: &mut String) {
    let followed = !e.steps.is_empty();
    match &e.head {
        Head::Root => out.push('$'),
        Head::Current => out.push('@'),
        Head::Last => out.push_str("last"),
        Head::Null => out.push_str("null"),
        Head::Bool(b) => out.push_str(if *b { "true" } else { "false" }),
        Head::Number(n) => bracketed(followed, out, |out| numeric::write(n, out)),
        Head::String(s) => jsonb::write_string(s, out),
        Head::Variable(name) => {
            out.push('$');
            jsonb::write_string(name, out);
        }
        Head::Unary(sign, a) => bracketed(brackets || followed, out, |out| {
            out.push_str(sign.symbol());
            operand(a, 5, out);
        }),
        Head::Binary(op, a, b) => bracketed(brackets || followed, out, |out| {
            let within = priority(e);
            operand(a, within, out);
            spaced(op.symbol(), out);
            operand(b, within, out);
        }),
        Head::Predicate(p) => predicate(p, brackets || followed, out),
    }
    e.steps.iter().for_each(|s| step(s, out));
}

fn spaced(symbol: &str, out: &mut String) {
    out.push(' ');
    out.push_str(symbol);
    out.push(' ');
}

fn predicate(p: &Predicate, brackets: bool, out: &mut String) {
    stacker::maybe_grow(32 << 10, 1 << 20, || predicate_here(p, brackets, out));
}

fn predicate_here(p: &Predicate, brackets: bool, out: &mut String) {
    let within = predicate_priority(p);
    let part = |p: &Predicate, out: &mut String| predicate(p, predicate_priority(p) <= within, out);
    match p {
        Predicate::And(a, b) | Predicate::Or(a, b) => bracketed(brackets, out, |out| {
            part(a, out);
            out.push_str(if within == 0 { " || " } else { " && " });
            part(b, out);
        }),
        Predicate::Compare(op, a, b) => bracketed(brackets, out, |out| {
            operand(a, within, out);
            spaced(op.symbol(), out);
            operand(b, within, out);
        }),
        Predicate::StartsWith(a, b) => bracketed(brackets, out, |out| {
            operand(a, within, out);
            out.push_str(" starts with ");
            operand(b, within, out);
        }),
        Predicate::LikeRegex(a, pattern, flags) => bracketed(brackets, out, |out| {
            operand(a, within, out);
            out.push_str(" like_regex ");
            jsonb::write_string(pattern, out);
            write_flags(*flags, out);
        }),
        Predicate::Not(a) => {
            out.push_str("!(");
            predicate(a, false, out);
            out.push(')');
        }
        Predicate::IsUnknown(a) => {
            out.push('(');
            predicate(a, false, out);
            out.push_str(") is unknown");
        }
        Predicate::Exists(a) => {
            out.push_str("exists (");
            expr(a, false, out);
            out.push(')');
        }
    }
}

fn write_flags(flags: RegexFlags, out: &mut String) {
    if flags == RegexFlags::default() {
        return;
    }
    out.push_str(" flag \"");
    let letters = [
        (flags.ignore_case, 'i'),
        (flags.dot_all, 's'),
        (flags.multi_line, 'm'),
        (flags.extended, 'x'),
        (flags.quote, 'q'),
    ];
    out.extend(letters.into_iter().filter(|(set, _)| *set).map(|(_, c)| c));
    out.push('"');
}

fn step(s: &Step, out: &mut String) {
    match s {
        Step::Key(key) => {
            out.push('.');
            jsonb::write_string(key, out);
        }
        Step::AnyKey => out.push_str(".*"),
        Step::AnyElement => out.push_str("[*]"),
        Step::Index(subscripts) => {
            for (i, (from, to)) in subscripts.iter().enumerate() {
                out.push(if i == 0 { '[' } else { ',' });
                expr(from, false, out);
                if let Some(to) = to {
                    out.push_str(" to ");
                    expr(to, false, out);
                }
            }
            out.push(']');
        }
        Step::Descend(0, u32::MAX) => out.push_str(".**"),
        Step::Descend(first, last) => {
            out.push_str(".**{");
            level(*first, out);
            if first != last {
                out.push_str(" to ");
                level(*last, out);
            }
            out.push('}');
        }
        Step::Filter(p) => {
            out.push_str("?(");
            predicate(p, false, out);
            out.push(')');
        }
        Step::Method(m) => {
            out.push('.');
            out.push_str(m.name());
            out.push_str("()");
        }
        Step::Datetime(template) => {
            out.push_str(".datetime(");
            if let Some(template) = template {
                jsonb::write_string(template, out);
            }
            out.push(')');
        }
    }
}

fn level(n: u32, out: &mut String) {
    match n {
        u32::MAX => out.push_str("last"),
        n => out.push_str(&n.to_string()),
    }
}
