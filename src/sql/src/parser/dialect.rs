//! The one dialect: PostgreSQL's as `sqlparser` has it, with what it lacks inside expressions.
//!
//! * `LIST[…]`, `LIST(query)`, `MAP[k => v, …]` and `MAP(query)` become calls of functions of the names below, which no user
//!   function can have.
//! * Unary plus and minus bind tighter than `^`; regular-expression operators bind as any other operator (PostgreSQL manual, 4.1.6).
//! * `BETWEEN SYMMETRIC`, `ISNULL`.
//! * `type 'string'` of any type.
//! * Queries in parentheses that begin with VALUES, TABLE or another parenthesis, see [`super::nested_query`].
//! * `ROLLUP`, `CUBE` and `GROUPING SETS` in expressions, so that they may nest; the rewriter has made them words.

use std::any::TypeId;
use std::cell::Cell;

use sqlparser::ast::{
    BinaryOperator, DataType, Expr, Function, FunctionArg, FunctionArgExpr, FunctionArgumentList,
    FunctionArguments, Ident, ObjectName, TypedString, UnaryOperator,
};
use sqlparser::dialect::{Dialect, PostgreSqlDialect, Precedence};
use sqlparser::keywords::Keyword;
use sqlparser::parser::{Parser, ParserError};
use sqlparser::tokenizer::{Span, Token, Word};

/// The function that `LIST[a, b]` becomes; inner brackets without a word are lists too.
pub const LIST_CONSTRUCTOR: &str = "list[";
/// The function that `LIST(query)` becomes.
pub const LIST_SUBQUERY: &str = "list(";
/// The function that `MAP[k => v, …]` becomes: keys and values take turns.
pub const MAP_CONSTRUCTOR: &str = "map[";
/// The function that `MAP(query)` becomes.
pub const MAP_SUBQUERY: &str = "map(";

/// The function that `x BETWEEN SYMMETRIC low AND high` becomes.
pub const BETWEEN_SYMMETRIC: &str = "between symmetric(";

/// The greatest depth of an expression that is a chain (`a + b + c …`): such a tree is as deep as it is long.
const MAX_CHAIN: usize = 2500;
/// How many infix operators go by between two looks at the depth.
const CHAIN_CHECK_EVERY: usize = 128;

const PG: PostgreSqlDialect = PostgreSqlDialect {};

/// PostgreSQL's precedence of unary plus and minus: between `[]` and `COLLATE`.
const UNARY_SIGN_PRECEDENCE: u8 = 125;
/// PostgreSQL's precedence of all operators that have none of their own.
const OTHER_OPERATOR_PRECEDENCE: u8 = 70;

/// `type 'string'` of a type whose name is no keyword.
fn parse_typed_string(parser: &mut Parser) -> Result<Expr, ParserError> {
    let name = ObjectName::from(vec![parser.parse_identifier()?]);
    let value = parser.parse_value()?;
    let data_type = DataType::Custom(name, vec![]);
    Ok(Expr::TypedString(TypedString { data_type, value, uses_odbc_syntax: false }))
}

/// The dialect. Made anew for each statement.
#[derive(Debug, Default)]
pub(crate) struct HeadwaterDialect {
    infix_seen: Cell<usize>,
    too_deep: Cell<bool>,
}

impl HeadwaterDialect {
    /// Whether parsing was given up because of the depth of an expression.
    pub(crate) fn too_deep(&self) -> bool {
        self.too_deep.get()
    }
}

macro_rules! as_postgres {
    ($($name:ident),+ $(,)?) => { $(fn $name(&self) -> bool { PG.$name() })+ };
}

impl Dialect for HeadwaterDialect {
    fn dialect(&self) -> TypeId {
        TypeId::of::<PostgreSqlDialect>()
    }

    fn identifier_quote_style(&self, identifier: &str) -> Option<char> {
        PG.identifier_quote_style(identifier)
    }

    fn is_delimited_identifier_start(&self, ch: char) -> bool {
        PG.is_delimited_identifier_start(ch)
    }

    fn is_identifier_start(&self, ch: char) -> bool {
        PG.is_identifier_start(ch)
    }

    fn is_identifier_part(&self, ch: char) -> bool {
        PG.is_identifier_part(ch)
    }

    fn is_reserved_for_identifier(&self, kw: Keyword) -> bool {
        PG.is_reserved_for_identifier(kw)
    }

    fn is_table_alias(&self, kw: &Keyword, parser: &mut Parser) -> bool {
        PG.is_table_alias(kw, parser)
    }

    fn is_custom_operator_part(&self, ch: char) -> bool {
        PG.is_custom_operator_part(ch)
    }

    fn prec_value(&self, prec: Precedence) -> u8 {
        PG.prec_value(prec)
    }

    as_postgres!(
        supports_unicode_string_literal,
        supports_filter_during_aggregation,
        supports_group_by_expr,
        allow_extract_custom,
        allow_extract_single_quotes,
        supports_create_index_with_clause,
        supports_bitwise_shift_operators,
        supports_comment_on,
        supports_empty_projections,
        supports_nested_comments,
        supports_string_escape_constant,
        supports_numeric_literal_underscores,
        supports_array_typedef_with_brackets,
        supports_order_by_using_operator,
        supports_set_names,
        supports_left_associative_joins_without_parens,
        supports_notnull_operator,
        supports_interval_options,
        supports_insert_table_alias,
        supports_select_wildcard_with_alias,
        supports_comma_separated_trim,
        supports_aliased_function_args,
    );

    fn supports_named_fn_args_with_rarrow_operator(&self) -> bool {
        true
    }

    fn supports_named_fn_args_with_assignment_operator(&self) -> bool {
        true
    }

    fn supports_window_clause_named_window_reference(&self) -> bool {
        true
    }

    fn get_next_precedence(&self, parser: &Parser) -> Option<Result<u8, ParserError>> {
        match &parser.peek_token_ref().token {
            Token::Tilde
            | Token::TildeAsterisk
            | Token::ExclamationMarkTilde
            | Token::ExclamationMarkTildeAsterisk
            | Token::DoubleTilde
            | Token::DoubleTildeAsterisk
            | Token::ExclamationMarkDoubleTilde
            | Token::ExclamationMarkDoubleTildeAsterisk => Some(Ok(OTHER_OPERATOR_PRECEDENCE)),
            Token::Word(w) if w.keyword == Keyword::OPERATOR => Some(Ok(OTHER_OPERATOR_PRECEDENCE)),
            Token::Word(w) if w.quote_style.is_none() && w.value == "isnull" => {
                Some(Ok(self.prec_value(Precedence::Is)))
            }
            // Not PostgreSQL's: words that may be aliases or columns there.
            Token::Word(w)
                if matches!(
                    w.keyword,
                    Keyword::XOR
                        | Keyword::RLIKE
                        | Keyword::REGEXP
                        | Keyword::MATCH
                        | Keyword::GLOB
                        | Keyword::MEMBER
                        | Keyword::DIV
                ) =>
            {
                Some(Ok(self.prec_unknown()))
            }
            Token::Assignment | Token::DoubleEq | Token::Spaceship | Token::DuckIntDiv => {
                Some(Ok(self.prec_unknown()))
            }
            _ => PG.get_next_precedence(parser),
        }
    }

    fn parse_prefix(&self, parser: &mut Parser) -> Option<Result<Expr, ParserError>> {
        match &parser.peek_token_ref().token {
            Token::Word(w) if w.quote_style.is_none() && (w.value == "list" || w.value == "map") => {
                let list = w.value == "list";
                match &parser.peek_nth_token_ref(1).token {
                    Token::LBracket if list => Some(parse_list(parser)),
                    Token::LBracket => Some(parse_map(parser)),
                    Token::LParen if starts_query(parser, 2) => Some(parse_constructor_query(parser, list)),
                    _ => None,
                }
            }
            Token::Word(w) if is_grouping(w) => match w.value.as_str() {
                "grouping" if is_word(parser, 1, "sets") && is_paren(parser, 2) => {
                    Some(parse_grouping(parser, 2, Expr::GroupingSets))
                }
                "rollup" if is_paren(parser, 1) => Some(parse_grouping(parser, 1, Expr::Rollup)),
                "cube" if is_paren(parser, 1) => Some(parse_grouping(parser, 1, Expr::Cube)),
                _ => None,
            },
            Token::Word(w)
                if w.keyword == Keyword::NoKeyword
                    && matches!(parser.peek_nth_token_ref(1).token, Token::SingleQuotedString(_)) =>
            {
                Some(parse_typed_string(parser))
            }
            Token::LParen => super::nested_query::parse_parenthesised(parser),
            Token::Minus => Some(parse_sign(parser, UnaryOperator::Minus)),
            Token::Plus => Some(parse_sign(parser, UnaryOperator::Plus)),
            _ => None,
        }
    }

    fn parse_infix(
        &self,
        parser: &mut Parser,
        expr: &Expr,
        _precedence: u8,
    ) -> Option<Result<Expr, ParserError>> {
        self.infix_seen.set(self.infix_seen.get() + 1);
        if self.infix_seen.get().is_multiple_of(CHAIN_CHECK_EVERY) && chain_length(expr) > MAX_CHAIN {
            self.too_deep.set(true);
            return Some(Err(ParserError::RecursionLimitExceeded));
        }
        match &parser.peek_token_ref().token {
            Token::Word(w) if w.quote_style.is_none() && w.value == "isnull" => {
                parser.advance_token();
                Some(Ok(Expr::IsNull(Box::new(expr.clone()))))
            }
            Token::Word(w)
                if w.keyword == Keyword::NOT
                    && is_word(parser, 1, "between")
                    && is_word(parser, 2, "symmetric") =>
            {
                Some(parse_between_symmetric(parser, expr, 3).map(|e| Expr::UnaryOp {
                    op: UnaryOperator::Not,
                    expr: Box::new(Expr::Nested(Box::new(e))),
                }))
            }
            Token::Word(w) if matches!(w.keyword, Keyword::LIKE | Keyword::ILIKE | Keyword::NOT) => {
                parse_like_quantified(parser, expr)
            }
            Token::Word(w) if w.keyword == Keyword::BETWEEN && is_word(parser, 1, "symmetric") => {
                Some(parse_between_symmetric(parser, expr, 2))
            }
            Token::Word(w) if w.keyword == Keyword::BETWEEN && is_word(parser, 1, "asymmetric") => {
                parser.advance_token();
                parser.advance_token();
                Some(parser.parse_between(expr.clone(), false))
            }
            Token::Eq | Token::Neq | Token::Lt | Token::LtEq | Token::Gt | Token::GtEq => {
                super::nested_query::parse_quantified(parser, expr)
            }
            _ => None,
        }
    }
}

pub(super) fn is_word(parser: &Parser, n: usize, word: &str) -> bool {
    matches!(&parser.peek_nth_token_ref(n).token, Token::Word(w) if w.quote_style.is_none() && w.value == word)
}

fn is_grouping(w: &Word) -> bool {
    w.quote_style.is_none()
        && w.keyword == Keyword::NoKeyword
        && matches!(w.value.as_str(), "rollup" | "cube" | "grouping")
}

pub(super) fn is_paren(parser: &Parser, n: usize) -> bool {
    parser.peek_nth_token_ref(n).token == Token::LParen
}

/// The items of a ROLLUP, CUBE or GROUPING SETS after so many words: each a list of expressions.
fn parse_grouping(
    parser: &mut Parser,
    words: usize,
    make: fn(Vec<Vec<Expr>>) -> Expr,
) -> Result<Expr, ParserError> {
    for _ in 0..words {
        parser.advance_token();
    }
    parser.expect_token(&Token::LParen)?;
    let items = parser.parse_comma_separated(|p| {
        if p.consume_tokens(&[Token::LParen, Token::RParen]) {
            return Ok(vec![]);
        }
        Ok(match p.parse_expr()? {
            Expr::Tuple(items) => items,
            e => vec![e],
        })
    })?;
    parser.expect_token(&Token::RParen)?;
    Ok(make(items))
}

pub(super) fn starts_query(parser: &Parser, n: usize) -> bool {
    ["select", "with", "values", "table"].iter().any(|w| is_word(parser, n, w))
}

/// How deep a tree is along its first operands.
fn chain_length(mut expr: &Expr) -> usize {
    let mut length = 0;
    loop {
        expr = match expr {
            Expr::BinaryOp { left, .. } | Expr::AnyOp { left, .. } | Expr::AllOp { left, .. } => left,
            Expr::Cast { expr, .. }
            | Expr::Collate { expr, .. }
            | Expr::InList { expr, .. }
            | Expr::InSubquery { expr, .. }
            | Expr::Between { expr, .. }
            | Expr::Like { expr, .. }
            | Expr::ILike { expr, .. }
            | Expr::SimilarTo { expr, .. }
            | Expr::UnaryOp { expr, .. } => expr,
            Expr::AtTimeZone { timestamp, .. } => timestamp,
            Expr::IsNull(e)
            | Expr::IsNotNull(e)
            | Expr::IsTrue(e)
            | Expr::IsNotTrue(e)
            | Expr::IsFalse(e)
            | Expr::IsNotFalse(e)
            | Expr::IsUnknown(e)
            | Expr::IsNotUnknown(e)
            | Expr::IsDistinctFrom(e, _)
            | Expr::IsNotDistinctFrom(e, _) => e,
            _ => return length,
        };
        length += 1;
    }
}

fn parse_sign(parser: &mut Parser, op: UnaryOperator) -> Result<Expr, ParserError> {
    parser.advance_token();
    let expr = parser.parse_subexpr(UNARY_SIGN_PRECEDENCE)?;
    Ok(Expr::UnaryOp { op, expr: Box::new(expr) })
}

/// `x [NOT] LIKE ANY (…)`, ILIKE, SOME and ALL; `None` for anything else.
fn parse_like_quantified(parser: &mut Parser, expr: &Expr) -> Option<Result<Expr, ParserError>> {
    let negated = is_word(parser, 0, "not");
    let at = usize::from(negated);
    let op = match (is_word(parser, at, "like"), is_word(parser, at, "ilike"), negated) {
        (true, _, false) => BinaryOperator::PGLikeMatch,
        (true, _, true) => BinaryOperator::PGNotLikeMatch,
        (_, true, false) => BinaryOperator::PGILikeMatch,
        (_, true, true) => BinaryOperator::PGNotILikeMatch,
        _ => return None,
    };
    let all = is_word(parser, at + 1, "all");
    if !(all || is_word(parser, at + 1, "any") || is_word(parser, at + 1, "some"))
        || !is_paren(parser, at + 2)
    {
        return None;
    }
    for _ in 0..at + 3 {
        parser.advance_token();
    }
    let right =
        if starts_query(parser, 0) { parser.parse_query().map(Expr::Subquery) } else { parser.parse_expr() };
    Some(right.and_then(|right| {
        parser.expect_token(&Token::RParen)?;
        let (left, right) = (Box::new(expr.clone()), Box::new(right));
        Ok(match all {
            true => Expr::AllOp { left, compare_op: op, right },
            false => Expr::AnyOp { left, compare_op: op, right, is_some: false },
        })
    }))
}

fn parse_between_symmetric(parser: &mut Parser, expr: &Expr, words: usize) -> Result<Expr, ParserError> {
    let span = parser.peek_token_ref().span;
    for _ in 0..words {
        parser.advance_token();
    }
    let Expr::Between { low, high, .. } =
        parser.parse_between(Expr::Value(sqlparser::ast::Value::Null.into()), false)?
    else {
        return parser.expected("BETWEEN", parser.peek_token());
    };
    let args = vec![expr.clone(), *low, *high];
    Ok(Expr::Nested(Box::new(call_with(BETWEEN_SYMMETRIC, span, args))))
}

fn call(name: &str, span: Span, args: FunctionArguments) -> Expr {
    Expr::Function(Function {
        name: ObjectName::from(vec![Ident { value: name.to_owned(), quote_style: None, span }]),
        uses_odbc_syntax: false,
        parameters: FunctionArguments::None,
        args,
        within_group: vec![],
        filter: None,
        null_treatment: None,
        over: None,
    })
}

fn call_with(name: &str, span: Span, args: Vec<Expr>) -> Expr {
    let args = args.into_iter().map(|e| FunctionArg::Unnamed(FunctionArgExpr::Expr(e))).collect();
    call(
        name,
        span,
        FunctionArguments::List(FunctionArgumentList { duplicate_treatment: None, args, clauses: vec![] }),
    )
}

fn parse_list(parser: &mut Parser) -> Result<Expr, ParserError> {
    let span = parser.next_token().span;
    parser.expect_token(&Token::LBracket)?;
    let items = parser.parse_comma_separated0(Parser::parse_expr, Token::RBracket)?;
    parser.expect_token(&Token::RBracket)?;
    Ok(call_with(LIST_CONSTRUCTOR, span, items))
}

fn parse_map(parser: &mut Parser) -> Result<Expr, ParserError> {
    let span = parser.next_token().span;
    parse_map_entries(parser, span)
}

fn parse_map_entries(parser: &mut Parser, span: Span) -> Result<Expr, ParserError> {
    parser.expect_token(&Token::LBracket)?;
    let mut items = vec![];
    if parser.peek_token_ref().token != Token::RBracket {
        loop {
            items.push(parser.parse_expr()?);
            parser.expect_token(&Token::RArrow)?;
            // A nested map needs no word of its own.
            if parser.peek_token_ref().token == Token::LBracket && looks_like_map(parser) {
                let span = parser.peek_token_ref().span;
                items.push(parse_map_entries(parser, span)?);
            } else {
                items.push(parser.parse_expr()?);
            }
            if !parser.consume_token(&Token::Comma) {
                break;
            }
        }
    }
    parser.expect_token(&Token::RBracket)?;
    Ok(call_with(MAP_CONSTRUCTOR, span, items))
}

/// Whether the bracket that comes next holds `key => value`.
fn looks_like_map(parser: &Parser) -> bool {
    let mut depth = 0usize;
    for n in 0.. {
        match &parser.peek_nth_token_ref(n).token {
            Token::LBracket | Token::LParen => depth += 1,
            Token::RBracket | Token::RParen if depth <= 1 => return false,
            Token::RBracket | Token::RParen => depth -= 1,
            Token::RArrow if depth == 1 => return true,
            Token::Comma if depth == 1 => return false,
            Token::EOF => return false,
            _ => {}
        }
    }
    false
}

fn parse_constructor_query(parser: &mut Parser, list: bool) -> Result<Expr, ParserError> {
    let span = parser.next_token().span;
    parser.expect_token(&Token::LParen)?;
    let query = parser.parse_query()?;
    parser.expect_token(&Token::RParen)?;
    let name = if list { LIST_SUBQUERY } else { MAP_SUBQUERY };
    Ok(call(name, span, FunctionArguments::Subquery(query)))
}
