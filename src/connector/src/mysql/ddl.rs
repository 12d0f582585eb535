//! Statements in the binlog, and what they do to tables that are ingested.
//!
//! With row-based logging the binlog holds definitions' changes (and TRUNCATE) as statement text. [`effects`] finds in
//! it the tables concerned; whether an ALTER is compatible is then seen in `information_schema`. The text is read by
//! tokens, so that quoting, comments and executable comments (`/*!50000 … */`) are understood.

/// What a statement does to a table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Effect {
    /// All rows, or those of some partitions, went or came without row events.
    Truncate(TableName),
    /// The table is gone.
    Drop(TableName),
    /// All tables of a schema are gone.
    DropSchema(String),
    /// The table has another name, or another table has its name.
    Rename(TableName),
    /// Columns or keys may have changed.
    Alter(TableName),
    /// Rows were changed by a statement that was logged as text (`binlog_format` is not ROW in some session). It may concern
    /// any table that it names.
    Statement(Vec<String>),
}

/// A table as a statement names it, with the default schema filled in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct TableName {
    pub(crate) schema: String,
    pub(crate) table: String,
}

/// The role of a statement in its transaction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Statement {
    /// `BEGIN`.
    Begin,
    /// `COMMIT`.
    Commit,
    /// `ROLLBACK`.
    Rollback,
    /// `ROLLBACK TO SAVEPOINT`.
    RollbackTo,
    /// `SAVEPOINT`, `RELEASE SAVEPOINT`.
    Savepoint,
    /// `XA START`; its rows wait for `XaCommit`.
    XaStart(String),
    /// `XA END`.
    XaEnd,
    /// `XA COMMIT`.
    XaCommit(String),
    /// `XA ROLLBACK`.
    XaRollback(String),
    /// `CREATE TABLE … START TRANSACTION`: rows and a commit follow.
    CreateTableAsSelect,
    /// Anything else, a transaction of its own.
    Other(Vec<Effect>),
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Token {
    /// A word, as written.
    Word(String),
    /// A quoted identifier.
    Quoted(String),
    /// A string literal.
    Text,
    /// Any other character.
    Symbol(char),
}

impl Token {
    fn is(&self, keyword: &str) -> bool {
        matches!(self, Token::Word(w) if w.eq_ignore_ascii_case(keyword))
    }

    fn name(&self) -> Option<&str> {
        match self {
            Token::Word(w) | Token::Quoted(w) => Some(w),
            _ => None,
        }
    }
}

fn tokenize(sql: &str) -> Vec<Token> {
    let chars: Vec<char> = sql.chars().collect();
    let at = |i: usize| chars.get(i).copied();
    let (mut tokens, mut i) = (Vec::new(), 0);
    let is_word = |c: char| c.is_alphanumeric() || c == '_' || c == '$' || (c as u32) >= 0x80;
    while let Some(c) = at(i) {
        match c {
            c if c.is_whitespace() => i += 1,
            '#' => i = skip_line(&chars, i),
            '-' if at(i + 1) == Some('-')
                && at(i + 2).is_none_or(|c| c.is_whitespace() || c.is_control()) =>
            {
                i = skip_line(&chars, i);
            }
            '/' if at(i + 1) == Some('*') => {
                if at(i + 2) == Some('!') {
                    // Executable: its contents count, its version number does not.
                    i += 3;
                    while at(i).is_some_and(|c| c.is_ascii_digit()) {
                        i += 1;
                    }
                } else {
                    i += 2;
                    while i < chars.len() && !(at(i) == Some('*') && at(i + 1) == Some('/')) {
                        i += 1;
                    }
                    i += 2;
                }
            }
            // The end of an executable comment.
            '*' if at(i + 1) == Some('/') => i += 2,
            '\'' | '"' | '`' => {
                let (text, next) = quoted(&chars, i);
                tokens.push(if c == '\'' { Token::Text } else { Token::Quoted(text) });
                i = next;
            }
            c if is_word(c) => {
                let start = i;
                while at(i).is_some_and(is_word) {
                    i += 1;
                }
                tokens.push(Token::Word(chars[start..i].iter().collect()));
            }
            c => {
                tokens.push(Token::Symbol(c));
                i += 1;
            }
        }
    }
    tokens
}

fn skip_line(chars: &[char], mut i: usize) -> usize {
    while i < chars.len() && chars[i] != '\n' {
        i += 1;
    }
    i
}

/// The text between quotes at `i`, and the position after it. A doubled quote stands for one.
fn quoted(chars: &[char], i: usize) -> (String, usize) {
    let quote = chars[i];
    let (mut text, mut i) = (String::new(), i + 1);
    while i < chars.len() {
        match chars[i] {
            '\\' if quote != '`' && i + 1 < chars.len() => {
                text.push(chars[i + 1]);
                i += 2;
            }
            c if c == quote && chars.get(i + 1) == Some(&quote) => {
                text.push(c);
                i += 2;
            }
            c if c == quote => return (text, i + 1),
            c => {
                text.push(c);
                i += 1;
            }
        }
    }
    (text, i)
}

/// Reads a statement of the binlog.
pub(crate) fn parse(sql: &str, default_schema: &str) -> Statement {
    let tokens = tokenize(sql);
    let keyword = |i: usize, k: &str| tokens.get(i).is_some_and(|t| t.is(k));
    if keyword(0, "BEGIN") || (keyword(0, "START") && keyword(1, "TRANSACTION")) {
        return Statement::Begin;
    }
    if keyword(0, "COMMIT") {
        return Statement::Commit;
    }
    if keyword(0, "ROLLBACK") {
        let to = tokens.iter().any(|t| t.is("TO"));
        return if to { Statement::RollbackTo } else { Statement::Rollback };
    }
    if keyword(0, "SAVEPOINT") || (keyword(0, "RELEASE") && keyword(1, "SAVEPOINT")) {
        return Statement::Savepoint;
    }
    if keyword(0, "XA") {
        // The rest is the identifier, always written the same way by the server.
        let id = || sql.split_whitespace().skip(2).collect::<Vec<_>>().join(" ");
        return match tokens.get(1) {
            Some(t) if t.is("START") || t.is("BEGIN") => Statement::XaStart(id()),
            Some(t) if t.is("END") => Statement::XaEnd,
            Some(t) if t.is("COMMIT") => Statement::XaCommit(id()),
            Some(t) if t.is("ROLLBACK") => Statement::XaRollback(id()),
            _ => Statement::Other(Vec::new()),
        };
    }
    let n = tokens.len();
    if keyword(0, "CREATE") && n >= 2 && tokens[n - 2].is("START") && tokens[n - 1].is("TRANSACTION") {
        return Statement::CreateTableAsSelect;
    }
    Statement::Other(effects(&tokens, default_schema))
}

fn effects(tokens: &[Token], default_schema: &str) -> Vec<Effect> {
    let mut cursor = Cursor { tokens, at: 0, default_schema };
    let mut out = Vec::new();
    if cursor.eat("TRUNCATE") {
        cursor.eat("TABLE");
        out.extend(cursor.table().map(Effect::Truncate));
    } else if cursor.eat("DROP") {
        drop_effects(&mut cursor, &mut out);
    } else if cursor.eat("RENAME") {
        if cursor.eat("TABLE") || cursor.eat("TABLES") {
            while let Some(from) = cursor.table() {
                out.push(Effect::Rename(from));
                if cursor.eat("TO") {
                    out.extend(cursor.table().map(Effect::Rename));
                }
                if !cursor.eat_symbol(',') {
                    break;
                }
            }
        }
    } else if cursor.eat("ALTER") {
        while cursor.eat("ONLINE") || cursor.eat("OFFLINE") || cursor.eat("IGNORE") {}
        if cursor.eat("TABLE")
            && let Some(table) = cursor.table()
        {
            alter_effects(&cursor, table, &mut out);
        }
    } else if cursor.eat("CREATE") {
        while ["UNIQUE", "FULLTEXT", "SPATIAL", "ONLINE", "OFFLINE"].iter().any(|k| cursor.eat(k)) {}
        if cursor.eat("INDEX") {
            out.extend(cursor.table_after("ON").map(Effect::Alter));
        }
    } else if ["INSERT", "UPDATE", "DELETE", "REPLACE", "LOAD", "WITH", "CALL", "DO"]
        .iter()
        .any(|k| cursor.eat(k))
    {
        let names = tokens.iter().filter_map(Token::name).map(str::to_owned);
        out.push(Effect::Statement(names.collect()));
    }
    out
}

fn drop_effects(cursor: &mut Cursor<'_>, out: &mut Vec<Effect>) {
    if cursor.eat("DATABASE") || cursor.eat("SCHEMA") {
        cursor.eat_if_exists();
        if let Some(schema) = cursor.next_name() {
            out.push(Effect::DropSchema(schema));
        }
    } else if cursor.eat("INDEX") || cursor.eat("PREPARE") {
        out.extend(cursor.table_after("ON").map(Effect::Alter));
    } else if cursor.eat("TABLE") || cursor.eat("TABLES") {
        cursor.eat_if_exists();
        while let Some(table) = cursor.table() {
            out.push(Effect::Drop(table));
            if !cursor.eat_symbol(',') {
                break;
            }
        }
    }
    // DROP TEMPORARY TABLE concerns no table that is ingested.
}

fn alter_effects(cursor: &Cursor<'_>, table: TableName, out: &mut Vec<Effect>) {
    let rest = &cursor.tokens[cursor.at..];
    let mut depth = 0usize;
    let (mut renamed, mut data_changed) = (false, false);
    for (i, token) in rest.iter().enumerate() {
        match token {
            Token::Symbol('(') => depth += 1,
            Token::Symbol(')') => depth = depth.saturating_sub(1),
            _ => {}
        }
        // Only the first word of an alteration counts: a column may be called `rename`.
        let starts = depth == 0 && (i == 0 || rest[i - 1] == Token::Symbol(','));
        if !starts {
            continue;
        }
        let next = |k: &str| rest.get(i + 1).is_some_and(|t| t.is(k));
        if token.is("RENAME") && !next("COLUMN") && !next("INDEX") && !next("KEY") {
            renamed = true;
        }
        let partition = next("PARTITION");
        let tablespace = next("TABLESPACE");
        data_changed |=
            partition && ["TRUNCATE", "DROP", "EXCHANGE", "DISCARD", "IMPORT"].iter().any(|k| token.is(k));
        data_changed |= tablespace && (token.is("DISCARD") || token.is("IMPORT"));
        if token.is("EXCHANGE") && partition {
            let mut other = Cursor { at: cursor.at + i, ..*cursor };
            if let Some(other) = other.table_after("TABLE") {
                out.push(Effect::Truncate(other));
            }
        }
    }
    if renamed {
        out.push(Effect::Rename(table));
    } else if data_changed {
        out.push(Effect::Truncate(table));
    } else {
        out.push(Effect::Alter(table));
    }
}

#[derive(Clone, Copy)]
struct Cursor<'a> {
    tokens: &'a [Token],
    at: usize,
    default_schema: &'a str,
}

impl Cursor<'_> {
    fn eat(&mut self, keyword: &str) -> bool {
        let found = self.tokens.get(self.at).is_some_and(|t| t.is(keyword));
        self.at += usize::from(found);
        found
    }

    fn eat_symbol(&mut self, symbol: char) -> bool {
        let found = self.tokens.get(self.at) == Some(&Token::Symbol(symbol));
        self.at += usize::from(found);
        found
    }

    fn eat_if_exists(&mut self) {
        if self.eat("IF") {
            self.eat("EXISTS");
        }
    }

    fn next_name(&mut self) -> Option<String> {
        let name = self.tokens.get(self.at)?.name()?.to_owned();
        self.at += 1;
        Some(name)
    }

    /// `table` or `schema.table`.
    fn table(&mut self) -> Option<TableName> {
        let first = self.next_name()?;
        if self.eat_symbol('.') {
            let table = self.next_name()?;
            return Some(TableName { schema: first, table });
        }
        Some(TableName { schema: self.default_schema.to_owned(), table: first })
    }

    fn table_after(&mut self, keyword: &str) -> Option<TableName> {
        while self.at < self.tokens.len() {
            if self.eat(keyword) {
                return self.table();
            }
            self.at += 1;
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn t(schema: &str, table: &str) -> TableName {
        TableName { schema: schema.into(), table: table.into() }
    }

    fn other(sql: &str) -> Vec<Effect> {
        match parse(sql, "d") {
            Statement::Other(effects) => effects,
            s => vec![Effect::Statement(vec![format!("{s:?}")])],
        }
    }

    #[test]
    fn control_statements() {
        assert_eq!(parse("BEGIN", ""), Statement::Begin);
        assert_eq!(parse(" commit ", ""), Statement::Commit);
        assert_eq!(parse("ROLLBACK", ""), Statement::Rollback);
        assert_eq!(parse("ROLLBACK TO `x`", ""), Statement::RollbackTo);
        assert_eq!(parse("SAVEPOINT `x`", ""), Statement::Savepoint);
        assert_eq!(parse("XA START X'61',X'',1", ""), Statement::XaStart("X'61',X'',1".into()));
        assert_eq!(parse("XA COMMIT X'61',X'',1", ""), Statement::XaCommit("X'61',X'',1".into()));
        assert_eq!(parse("XA ROLLBACK X'61',X'',1", ""), Statement::XaRollback("X'61',X'',1".into()));
        let ctas = "CREATE TABLE `t` (\n `a` int\n) START TRANSACTION";
        assert_eq!(parse(ctas, ""), Statement::CreateTableAsSelect);
        assert_eq!(parse("CREATE TABLE t (a int)", ""), Statement::Other(vec![]));
    }

    #[test]
    fn definitions() {
        assert_eq!(other("TRUNCATE t"), [Effect::Truncate(t("d", "t"))]);
        assert_eq!(other("/* x */ truncate table `s`.`t``x`"), [Effect::Truncate(t("s", "t`x"))]);
        assert_eq!(other("/*!50000 TRUNCATE */ TABLE t -- end"), [Effect::Truncate(t("d", "t"))]);
        assert_eq!(other("# note\nTRUNCATE \"t\""), [Effect::Truncate(t("d", "t"))]);
        assert_eq!(
            other("DROP TABLE IF EXISTS `a`,s.b /* generated by server */"),
            [Effect::Drop(t("d", "a")), Effect::Drop(t("s", "b"))]
        );
        assert_eq!(other("DROP TEMPORARY TABLE a"), []);
        assert_eq!(other("drop database if exists `S`"), [Effect::DropSchema("S".into())]);
        let swap = [t("d", "a"), t("d", "b"), t("d", "c"), t("d", "a")].map(Effect::Rename);
        assert_eq!(other("RENAME TABLE a TO b, c TO a"), swap);
        assert_eq!(other("CREATE UNIQUE INDEX i ON s . t (a)"), [Effect::Alter(t("s", "t"))]);
        assert_eq!(other("DROP INDEX `i` ON t"), [Effect::Alter(t("d", "t"))]);
        assert_eq!(other("CREATE USER u"), []);
    }

    #[test]
    fn alterations() {
        assert_eq!(other("ALTER TABLE t ADD COLUMN `rename` int, ADD y int"), [Effect::Alter(t("d", "t"))]);
        assert_eq!(other("ALTER TABLE s.t RENAME TO u"), [Effect::Rename(t("s", "t"))]);
        assert_eq!(other("ALTER TABLE t ADD c int, RENAME u"), [Effect::Rename(t("d", "t"))]);
        assert_eq!(other("ALTER TABLE t RENAME COLUMN a TO b"), [Effect::Alter(t("d", "t"))]);
        assert_eq!(other("ALTER TABLE t ADD c enum(',rename u')"), [Effect::Alter(t("d", "t"))]);
        assert_eq!(other("ALTER TABLE t TRUNCATE PARTITION p0"), [Effect::Truncate(t("d", "t"))]);
        assert_eq!(
            other("ALTER TABLE t EXCHANGE PARTITION p WITH TABLE s.u"),
            [Effect::Truncate(t("s", "u")), Effect::Truncate(t("d", "t"))]
        );
    }

    #[test]
    fn logged_statements() {
        let effects = other("INSERT INTO `t` SELECT 't2' FROM s.u");
        let names = ["INSERT", "INTO", "t", "SELECT", "FROM", "s", "u"].map(str::to_owned).to_vec();
        assert_eq!(effects, [Effect::Statement(names)]);
    }

    #[test]
    fn no_input_panics() {
        for sql in [
            "",
            "'",
            "`",
            "/*",
            "/*!",
            "--",
            "ALTER TABLE",
            "ALTER TABLE t",
            "DROP TABLE",
            "RENAME TABLE a TO",
            "é'\\",
        ] {
            let _ = parse(sql, "d");
        }
    }
}
