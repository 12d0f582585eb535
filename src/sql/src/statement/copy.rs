//! COPY: its options, with PostgreSQL's checks in its order (`ProcessCopyOptions`).

use hw_repr::RelationDesc;

use super::resolve::{self, Options};
use super::select::{select, subscribe};
use crate::context::StatementContext;
use crate::error::PlanError;
use crate::parser::ast::{CopyStatement, Ident, Name, OptionValue, SqlOption, Statement};
use crate::plan::{CopyForced, CopyFormat, CopyHeader, CopySource, Plan, QueryWhen, SelectPlan};

/// COPY
pub(crate) fn copy(scx: &StatementContext<'_>, stmt: &CopyStatement) -> Result<Plan, PlanError> {
    match stmt {
        CopyStatement::To { source, options } => {
            let options = CopyOptions::new(options, false)?;
            let select = match source.as_ref() {
                Statement::Select(s) => CopySource::Select(select(scx, s)?),
                Statement::Subscribe(s) => CopySource::Subscribe(subscribe(scx, s)?),
                _ => return Err(PlanError::unsupported("COPY of this statement")),
            };
            let desc = super::copy_desc(&select);
            let columns: Vec<usize> = (0..desc.arity()).collect();
            let format = options.format(None, desc, &columns)?;
            Ok(Plan::CopyTo { select: Box::new(select), format })
        }
        CopyStatement::TableTo { table, columns, options } => {
            let (item, desc) = resolve::relation(scx, table)?;
            let options = CopyOptions::new(options, false)?;
            let (expr, mut finishing) = resolve::read_all(&item, &desc);
            if !columns.is_empty() {
                finishing.project = resolve::columns(&desc, columns, &item.name.item)?;
            }
            let format = options.format(Some(&item.name.item), &desc, &finishing.project)?;
            let column = |out: RelationDesc, i: &usize| {
                out.with_column(&desc.names()[*i], desc.typ().column_types[*i].clone())
            };
            let out = finishing.project.iter().fold(RelationDesc::empty(), column);
            let select = SelectPlan { expr, desc: out, finishing, when: QueryWhen::Immediately };
            Ok(Plan::CopyTo { select: Box::new(CopySource::Select(select)), format })
        }
        CopyStatement::From { table, columns, options } => {
            let (item, definition) = super::dml::writable_table(scx, table)?;
            let options = CopyOptions::new(options, true)?;
            let columns = if columns.is_empty() {
                (0..definition.desc.arity()).collect()
            } else {
                resolve::columns(&definition.desc, columns, &item.name.item)?
            };
            let format = options.format(Some(&item.name.item), &definition.desc, &columns)?;
            Ok(Plan::CopyFrom { table: item.id, columns, format })
        }
    }
}

/// The columns that an option names.
enum Columns {
    All,
    Named(Vec<Ident>),
}

/// Options, checked as far as they need no relation.
struct CopyOptions {
    format: CopyFormat,
    force_quote: Option<Columns>,
    force_not_null: Option<Columns>,
    force_null: Option<Columns>,
}

fn wrong(text: impl Into<String>) -> PlanError {
    PlanError::new("22023", text)
}

fn refused(text: impl Into<String>) -> PlanError {
    PlanError::new("0A000", text)
}

/// The names of the encodings that PostgreSQL knows, without what is no letter or digit.
const ENCODINGS: &[&str] = &[
    "abc",
    "alt",
    "big5",
    "euccn",
    "eucjis2004",
    "eucjp",
    "euckr",
    "euctw",
    "gb18030",
    "gbk",
    "iso88591",
    "iso885910",
    "iso885913",
    "iso885914",
    "iso885915",
    "iso885916",
    "iso88592",
    "iso88593",
    "iso88594",
    "iso88595",
    "iso88596",
    "iso88597",
    "iso88598",
    "iso88599",
    "johab",
    "koi8",
    "koi8r",
    "koi8u",
    "latin1",
    "latin10",
    "latin2",
    "latin3",
    "latin4",
    "latin5",
    "latin6",
    "latin7",
    "latin8",
    "latin9",
    "mskanji",
    "muleinternal",
    "shiftjis",
    "shiftjis2004",
    "sjis",
    "sqlascii",
    "tcvn",
    "tcvn5712",
    "uhc",
    "vscii",
    "win",
    "win1250",
    "win1251",
    "win1252",
    "win1253",
    "win1254",
    "win1255",
    "win1256",
    "win1257",
    "win1258",
    "win866",
    "win874",
    "win932",
    "win936",
    "win949",
    "win950",
    "windows1250",
    "windows1251",
    "windows1252",
    "windows1253",
    "windows1254",
    "windows1255",
    "windows1256",
    "windows1257",
    "windows1258",
    "windows866",
    "windows874",
    "windows932",
    "windows936",
    "windows949",
    "windows950",
];

fn check_encoding(name: &str) -> Result<(), PlanError> {
    let plain: String =
        name.chars().filter(char::is_ascii_alphanumeric).collect::<String>().to_ascii_lowercase();
    match plain.as_str() {
        "utf8" | "unicode" => Ok(()),
        known if ENCODINGS.contains(&known) => {
            Err(PlanError::unsupported(format!("COPY in the encoding {name}")))
        }
        _ => Err(wrong("argument to option \"encoding\" must be a valid encoding name")),
    }
}

fn header(options: &mut Options<'_>, from: bool) -> Result<CopyHeader, PlanError> {
    let Some(o) = options.take("HEADER") else { return Ok(CopyHeader::No) };
    let text = match &o.value {
        OptionValue::None => return Ok(CopyHeader::Yes),
        OptionValue::String(s) | OptionValue::Number(s) | OptionValue::Raw(s, _) => s.to_ascii_lowercase(),
        _ => String::new(),
    };
    match text.as_str() {
        "true" | "on" | "1" => Ok(CopyHeader::Yes),
        "false" | "off" | "0" => Ok(CopyHeader::No),
        "match" if from => Ok(CopyHeader::Match),
        "match" => Err(refused("cannot use \"match\" with HEADER in COPY TO").at(o.position)),
        _ => Err(PlanError::syntax("header requires a Boolean value or \"match\"").at(o.position)),
    }
}

fn columns(options: &mut Options<'_>, name: &str, star: bool) -> Result<Option<Columns>, PlanError> {
    let Some(o) = options.take(name) else { return Ok(None) };
    let single = |n: &Name| match &n.0[..] {
        [one] => Some(one.clone()),
        _ => None,
    };
    let found = match &o.value {
        OptionValue::Raw(s, _) if star && s == "*" => Some(Columns::All),
        OptionValue::List(names) => names.iter().map(single).collect::<Option<_>>().map(Columns::Named),
        _ => None,
    };
    let name = name.to_lowercase();
    let text = || format!("argument to option \"{name}\" must be a list of column names");
    found.map(Some).ok_or_else(|| wrong(text()).at(o.position))
}

/// A character of one byte, if it is one.
fn one_byte(what: &str, text: &str) -> Result<u8, PlanError> {
    match text.as_bytes() {
        [b] => Ok(*b),
        _ => Err(refused(format!("COPY {what} must be a single one-byte character"))),
    }
}

impl CopyOptions {
    fn new(options: &[SqlOption], from: bool) -> Result<Self, PlanError> {
        let repeated = |o: &SqlOption| options.iter().filter(|x| x.name == o.name).count() > 1;
        if let Some(o) = options.iter().rev().find(|o| repeated(o)) {
            return Err(PlanError::syntax("conflicting or redundant options").at(o.position));
        }
        let mut options = Options::new("COPY", options)?;
        let format = options.text("FORMAT")?.unwrap_or_else(|| "text".into());
        if !matches!(format.as_str(), "text" | "csv" | "binary") {
            return Err(wrong(format!("COPY format \"{format}\" not recognized")));
        }
        let (csv, binary) = (format == "csv", format == "binary");
        let header = header(&mut options, from)?;
        let force_quote = columns(&mut options, "FORCE_QUOTE", true)?;
        let force_not_null = columns(&mut options, "FORCE_NOT_NULL", false)?;
        let force_null = columns(&mut options, "FORCE_NULL", false)?;
        if let Some(encoding) = options.text("ENCODING")? {
            check_encoding(&encoding)?;
        }
        if options.flag("FREEZE")? == Some(true) {
            return Err(PlanError::unsupported("COPY option FREEZE"));
        }
        let (delimiter, null) = (options.text("DELIMITER")?, options.text("NULL")?);
        let (quote, escape) = (options.text("QUOTE")?, options.text("ESCAPE")?);
        options.finish()?;
        for (given, what) in [(delimiter.is_some(), "DELIMITER"), (null.is_some(), "NULL")] {
            if binary && given {
                return Err(PlanError::syntax(format!("cannot specify {what} in BINARY mode")));
            }
        }
        let delimiter = delimiter.unwrap_or_else(|| if csv { ",".into() } else { "\t".into() });
        let null = null.unwrap_or_else(|| if csv { String::new() } else { "\\N".into() });
        let delimiter = one_byte("delimiter", &delimiter)?;
        if matches!(delimiter, b'\n' | b'\r') {
            return Err(wrong("COPY delimiter cannot be newline or carriage return"));
        }
        if null.contains(['\n', '\r']) {
            return Err(wrong("COPY null representation cannot use newline or carriage return"));
        }
        let unsafe_in_text = matches!(delimiter, b'\\' | b'.' | b'a'..=b'z' | b'0'..=b'9');
        if !csv && unsafe_in_text {
            return Err(wrong(format!("COPY delimiter cannot be \"{}\"", char::from(delimiter))));
        }
        if binary && header != CopyHeader::No {
            return Err(refused("cannot specify HEADER in BINARY mode"));
        }
        if !csv && quote.is_some() {
            return Err(refused("COPY quote available only in CSV mode"));
        }
        let quote = one_byte("quote", quote.as_deref().unwrap_or("\""))?;
        if csv && delimiter == quote {
            return Err(wrong("COPY delimiter and quote must be different"));
        }
        if !csv && escape.is_some() {
            return Err(refused("COPY escape available only in CSV mode"));
        }
        let escape = escape.map_or(Ok(quote), |e| one_byte("escape", &e))?;
        let forced = [
            ("quote", force_quote.is_some(), !from, "COPY TO"),
            ("not null", force_not_null.is_some(), from, "COPY FROM"),
            ("null", force_null.is_some(), from, "COPY FROM"),
        ];
        for (what, given, fits, only) in forced {
            if given && !csv {
                return Err(refused(format!("COPY force {what} available only in CSV mode")));
            }
            if given && !fits {
                return Err(refused(format!("COPY force {what} only available using {only}")));
            }
        }
        if null.as_bytes().contains(&delimiter) {
            return Err(refused("COPY delimiter must not appear in the NULL specification"));
        }
        if csv && null.as_bytes().contains(&quote) {
            return Err(refused("CSV quote character must not appear in the NULL specification"));
        }
        let format = match format.as_str() {
            "binary" => CopyFormat::Binary,
            "csv" => CopyFormat::Csv { delimiter, quote, escape, null, header, forced: vec![] },
            _ => CopyFormat::Text { delimiter, null, header },
        };
        Ok(CopyOptions { format, force_quote, force_not_null, force_null })
    }

    /// The format, for these columns of a relation.
    fn format(
        self,
        relation: Option<&str>,
        desc: &RelationDesc,
        copied: &[usize],
    ) -> Result<CopyFormat, PlanError> {
        let mut format = self.format;
        let CopyFormat::Csv { forced, .. } = &mut format else { return Ok(format) };
        type Set = fn(&mut CopyForced);
        let options: [(&str, Option<Columns>, Set); 3] = [
            ("FORCE_QUOTE", self.force_quote, |f| f.quote = true),
            ("FORCE_NOT_NULL", self.force_not_null, |f| f.not_null = true),
            ("FORCE_NULL", self.force_null, |f| f.null = true),
        ];
        for (option, columns, set) in options {
            let columns = match columns {
                None => continue,
                Some(Columns::All) => copied.to_vec(),
                Some(Columns::Named(names)) => named(relation, desc, &names)?,
            };
            forced.resize(copied.len(), CopyForced::default());
            for c in columns {
                let Some(i) = copied.iter().position(|x| *x == c) else {
                    let text = format!("{option} column \"{}\" not referenced by COPY", desc.names()[c]);
                    return Err(PlanError::new("42P10", text));
                };
                set(&mut forced[i]);
            }
        }
        Ok(format)
    }
}

fn named(relation: Option<&str>, desc: &RelationDesc, names: &[Ident]) -> Result<Vec<usize>, PlanError> {
    if let Some(relation) = relation {
        return resolve::columns(desc, names, relation);
    }
    let position = |n: &Ident| desc.position(&n.value).ok_or_else(|| PlanError::unknown_column(&n.value));
    names.iter().map(position).collect()
}
