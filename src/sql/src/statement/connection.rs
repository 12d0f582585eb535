//! Secrets and connections.

use hw_plan::source::MySqlTlsMode;
use hw_repr::Datum;
use sqlparser::ast::{Expr, Value};

use super::Ids;
use super::create_relation::new_item;
use super::normalize::{quote_literal, stored_name_of};
use super::resolve::{self, Options};
use crate::catalog::ItemKind;
use crate::context::StatementContext;
use crate::error::PlanError;
use crate::parser::ast::{CreateConnectionStatement, Name, OptionValue, SqlOption};
use crate::plan::{ConnectionDefinition, ItemDefinition, Plan, SecretValue, StringOrSecret};

/// The greatest size of a secret, in bytes.
const MAX_SECRET_BYTES: usize = 512 << 10;

fn secret_value(scx: &StatementContext<'_>, expr: &Expr) -> Result<SecretValue, PlanError> {
    let bytes = match expr {
        Expr::Value(v) if matches!(&v.value, Value::SingleQuotedString(_)) => match &v.value {
            Value::SingleQuotedString(s) => s.clone().into_bytes(),
            _ => vec![],
        },
        _ => {
            let row = resolve::constant_value(scx, expr, None)?;
            match row.unpack_first() {
                Datum::String(s) => s.as_bytes().to_vec(),
                Datum::Bytes(b) => b.to_vec(),
                Datum::Null => return Err(PlanError::new("22004", "secret value can not be null")),
                _ => return Err(PlanError::new("42804", "AS must be an expression of type bytea or text")),
            }
        }
    };
    if bytes.len() > MAX_SECRET_BYTES {
        return Err(PlanError::new(
            "54000",
            format!("secrets can not be bigger than {MAX_SECRET_BYTES} bytes"),
        ));
    }
    Ok(SecretValue(bytes))
}

/// CREATE SECRET
pub(crate) fn create_secret(
    scx: &StatementContext<'_>,
    name: &Name,
    if_not_exists: bool,
    value: Option<&Expr>,
    ids: Ids<'_>,
) -> Result<Plan, PlanError> {
    let value = value.ok_or_else(|| PlanError::syntax("a secret needs a value: AS …"))?;
    let value = secret_value(scx, value)?;
    let name = resolve::new_name(scx, name, false, if_not_exists, ItemKind::Secret, ids)?;
    let create_sql = format!("CREATE SECRET {}", name.stored);
    let item = new_item(scx, name, create_sql, ItemDefinition::Secret);
    Ok(Plan::CreateSecret { item, value, if_not_exists })
}

/// ALTER SECRET
pub(crate) fn alter_secret(
    scx: &StatementContext<'_>,
    name: &Name,
    if_exists: bool,
    value: &Expr,
) -> Result<Plan, PlanError> {
    let value = secret_value(scx, value)?;
    match resolve::item_of_kind(scx, name, ItemKind::Secret)? {
        Some(item) => Ok(Plan::AlterSecret { id: item.id, value }),
        None if if_exists => {
            Ok(super::nothing("ALTER SECRET", vec![format!("secret \"{name}\" does not exist, skipping")]))
        }
        None => Err(resolve::unknown_item(name, ItemKind::Secret)),
    }
}

/// VALIDATE CONNECTION
pub(crate) fn validate(scx: &StatementContext<'_>, name: &Name) -> Result<Plan, PlanError> {
    let item = resolve::existing_item(scx, name, ItemKind::Connection)?;
    Ok(Plan::ValidateConnection { id: item.id })
}

fn take_secret(
    scx: &StatementContext<'_>,
    options: &mut Options<'_>,
    name: &str,
) -> Result<Option<hw_repr::GlobalId>, PlanError> {
    match options.take(name) {
        None => Ok(None),
        Some(SqlOption { value: OptionValue::Secret(n), .. }) => secret_id(scx, n).map(Some),
        Some(o) => Err(PlanError::new("22023", format!("{name} must be given as SECRET name"))
            .with_hint("Make it with CREATE SECRET name AS '…'.")
            .at(o.position)),
    }
}

fn secret_id(scx: &StatementContext<'_>, name: &Name) -> Result<hw_repr::GlobalId, PlanError> {
    let item = resolve::existing_item(scx, name, ItemKind::Secret)?;
    scx.uses.borrow_mut().insert(item.id);
    Ok(item.id)
}

fn take_text_or_secret(
    scx: &StatementContext<'_>,
    options: &mut Options<'_>,
    name: &str,
) -> Result<Option<StringOrSecret>, PlanError> {
    match options.take(name) {
        None => Ok(None),
        Some(SqlOption { value: OptionValue::Secret(n), .. }) => {
            Ok(Some(StringOrSecret::Secret(secret_id(scx, n)?)))
        }
        Some(SqlOption { value: OptionValue::String(s), .. }) => Ok(Some(StringOrSecret::String(s.clone()))),
        Some(SqlOption { value: OptionValue::Raw(s, Some(n)), .. }) => {
            let plain = if n.0.len() == 1 { n.0[0].value.clone() } else { s.clone() };
            Ok(Some(StringOrSecret::String(plain)))
        }
        Some(o) => {
            Err(PlanError::new("22023", format!("{name} must be a string or SECRET name")).at(o.position))
        }
    }
}

fn tls_mode(text: &str) -> Option<MySqlTlsMode> {
    Some(match text.to_ascii_lowercase().replace('-', "_").as_str() {
        "disabled" | "disable" => MySqlTlsMode::Disabled,
        "required" | "require" => MySqlTlsMode::Required,
        "verify_ca" => MySqlTlsMode::VerifyCa,
        "verify_identity" => MySqlTlsMode::VerifyIdentity,
        _ => return None,
    })
}

/// What a CREATE CONNECTION makes.
pub(crate) fn define_connection(
    scx: &StatementContext<'_>,
    stmt: &CreateConnectionStatement,
) -> Result<ConnectionDefinition, PlanError> {
    if stmt.kind != "MYSQL" {
        return Err(
            PlanError::unsupported(format!("CREATE CONNECTION … TO {}", stmt.kind)).at(stmt.kind_position)
        );
    }
    let mut options = Options::new("MYSQL CONNECTION", &stmt.options)?;
    let missing = |name: &str| PlanError::syntax(format!("MYSQL CONNECTION needs the option {name}"));
    let host = options.text("HOST")?.filter(|h| !h.is_empty()).ok_or_else(|| missing("HOST"))?;
    let port = match options.number("PORT")? {
        None => 3306,
        Some(p) => u16::try_from(p).ok().filter(|p| *p > 0).ok_or_else(|| {
            PlanError::new("22023", format!("{p} is not a TCP port")).with_hint("Ports are from 1 to 65535.")
        })?,
    };
    let user = take_text_or_secret(scx, &mut options, "USER")?.ok_or_else(|| missing("USER"))?;
    let password = take_secret(scx, &mut options, "PASSWORD")?;
    let tls_mode = match options.take("SSL MODE") {
        None => MySqlTlsMode::Disabled,
        Some(o) => {
            let text = match &o.value {
                OptionValue::String(s) | OptionValue::Raw(s, _) => s.trim_matches('"').to_owned(),
                _ => String::new(),
            };
            tls_mode(&text).ok_or_else(|| {
                PlanError::new("22023", format!("invalid SSL MODE \"{text}\""))
                    .with_hint("It is one of disabled, required, verify_ca, verify_identity.")
                    .at(o.position)
            })?
        }
    };
    let definition = ConnectionDefinition::MySql {
        host,
        port,
        user,
        password,
        tls_mode,
        tls_ca: take_text_or_secret(scx, &mut options, "SSL CERTIFICATE AUTHORITY")?,
        tls_certificate: take_text_or_secret(scx, &mut options, "SSL CERTIFICATE")?,
        tls_key: take_secret(scx, &mut options, "SSL KEY")?,
    };
    options.finish()?;
    check_tls(&definition)?;
    Ok(definition)
}

fn check_tls(definition: &ConnectionDefinition) -> Result<(), PlanError> {
    let ConnectionDefinition::MySql { tls_mode, tls_ca, tls_certificate, tls_key, .. } = definition;
    if tls_certificate.is_some() != tls_key.is_some() {
        return Err(PlanError::syntax("SSL CERTIFICATE and SSL KEY are given together or not at all"));
    }
    let verifies = matches!(tls_mode, MySqlTlsMode::VerifyCa | MySqlTlsMode::VerifyIdentity);
    if verifies && tls_ca.is_none() {
        return Err(PlanError::syntax("this SSL MODE needs the option SSL CERTIFICATE AUTHORITY"));
    }
    if *tls_mode == MySqlTlsMode::Disabled && (tls_ca.is_some() || tls_certificate.is_some()) {
        return Err(PlanError::syntax("certificates need an SSL MODE other than disabled"));
    }
    Ok(())
}

fn stored_secret(scx: &StatementContext<'_>, id: hw_repr::GlobalId) -> String {
    let name = scx.catalog.item(id).map(|i| stored_name_of(id, &i.name)).unwrap_or_default();
    format!("SECRET {name}")
}

fn stored_options(scx: &StatementContext<'_>, definition: &ConnectionDefinition) -> String {
    let ConnectionDefinition::MySql {
        host,
        port,
        user,
        password,
        tls_mode,
        tls_ca,
        tls_certificate,
        tls_key,
    } = definition;
    let value = |v: &StringOrSecret| match v {
        StringOrSecret::String(s) => quote_literal(s),
        StringOrSecret::Secret(id) => stored_secret(scx, *id),
    };
    let mode = match tls_mode {
        MySqlTlsMode::Disabled => "disabled",
        MySqlTlsMode::Required => "required",
        MySqlTlsMode::VerifyCa => "verify_ca",
        MySqlTlsMode::VerifyIdentity => "verify_identity",
    };
    let all = [
        Some(format!("HOST = {}", quote_literal(host))),
        Some(format!("PORT = {port}")),
        Some(format!("USER = {}", value(user))),
        password.map(|p| format!("PASSWORD = {}", stored_secret(scx, p))),
        (*tls_mode != MySqlTlsMode::Disabled).then(|| format!("SSL MODE = '{mode}'")),
        tls_ca.as_ref().map(|v| format!("SSL CERTIFICATE AUTHORITY = {}", value(v))),
        tls_certificate.as_ref().map(|v| format!("SSL CERTIFICATE = {}", value(v))),
        tls_key.map(|k| format!("SSL KEY = {}", stored_secret(scx, k))),
    ];
    all.into_iter().flatten().collect::<Vec<_>>().join(", ")
}

/// CREATE CONNECTION
pub(crate) fn create_connection(
    scx: &StatementContext<'_>,
    stmt: &CreateConnectionStatement,
    ids: Ids<'_>,
) -> Result<Plan, PlanError> {
    let definition = define_connection(scx, stmt)?;
    let mut with = Options::new("CREATE CONNECTION", &stmt.with_options)?;
    let validate = with.flag("VALIDATE")?.unwrap_or(true);
    with.finish()?;
    let name = resolve::new_name(scx, &stmt.name, false, stmt.if_not_exists, ItemKind::Connection, ids)?;
    let create_sql =
        format!("CREATE CONNECTION {} TO MYSQL ({})", name.stored, stored_options(scx, &definition));
    let item = new_item(scx, name, create_sql, ItemDefinition::Connection(definition));
    Ok(Plan::CreateConnection { item, validate, if_not_exists: stmt.if_not_exists })
}
