//! The values of a session's settings.
//!
//! The first that has a value counts: SET LOCAL in the current transaction; SET, RESET in it; what earlier transactions have SET; the
//! connection's start-up options; ALTER SYSTEM SET; the default. The current transaction's modes are, if nobody has set them, those that
//! the session's `default_transaction_…` settings say.

use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};

use super::{VARS, lookup, lookup_key, unknown};
use crate::error::AdapterError;

/// The values of a session's settings.
#[derive(Debug, Clone, Default)]
pub struct SessionVars {
    /// From the system and the connection's start.
    base: BTreeMap<String, String>,
    /// From SET that was committed.
    set: BTreeMap<String, String>,
    /// From SET in a transaction that has not ended; `None` is back to what is below.
    pending: BTreeMap<String, Option<String>>,
    /// From SET LOCAL; `None` as there.
    local: BTreeMap<String, Option<String>>,
    /// Raised by every change.
    revision: u64,
    /// All values by lower-case name, once they have been asked for.
    map: OnceLock<Arc<BTreeMap<String, String>>>,
}

impl SessionVars {
    /// Sets a value under the session's own: read-only ones too, unchecked.
    pub fn set_base(&mut self, name: &str, value: impl Into<String>) {
        self.changed();
        self.base.insert(name.to_ascii_lowercase(), value.into());
    }

    /// Says which values these are: while it is the same, so are they.
    pub fn revision(&self) -> u64 {
        self.revision
    }

    fn changed(&mut self) {
        self.revision += 1;
        self.map = OnceLock::new();
    }

    /// The current value. Unknown names give `None`.
    pub fn get(&self, name: &str) -> Option<&str> {
        let (key, def) = lookup_key(name)?;
        if let Some(value) = self.own(key).or_else(|| self.base.get(key).map(String::as_str)) {
            return Some(value);
        }
        match key {
            "transaction_isolation" => self.get("default_transaction_isolation"),
            "transaction_read_only" => self.get("default_transaction_read_only"),
            _ => Some(def.default),
        }
    }

    /// What the session itself has set.
    fn own(&self, key: &str) -> Option<&str> {
        match self.local.get(key).or_else(|| self.pending.get(key)) {
            Some(value) => value.as_deref(),
            None => self.set.get(key).map(String::as_str),
        }
    }

    /// Sets a value (`None` is the default) until the transaction ends or, if it commits and this is not local, for good.
    pub fn set(&mut self, name: &str, values: Option<&[String]>, local: bool) -> Result<(), AdapterError> {
        let def = lookup(name).ok_or_else(|| unknown(name))?;
        if def.system_only {
            return Err(AdapterError::new(
                "55P02",
                format!("parameter \"{}\" cannot be changed now", def.name),
            )
            .with_hint("It is set for the whole system with ALTER SYSTEM SET."));
        }
        let value = match values {
            Some(values) => Some(def.normalize(values)?),
            None => None,
        };
        let key = def.name.to_ascii_lowercase();
        self.changed();
        if local {
            self.local.insert(key, value);
        } else {
            self.local.remove(&key);
            self.pending.insert(key, value);
        }
        Ok(())
    }

    /// RESET ALL, which like every SET is taken back if the transaction is.
    pub fn reset_all(&mut self) {
        self.changed();
        self.local.clear();
        let names = self.set.keys().chain(self.pending.keys()).cloned();
        self.pending = names.map(|name| (name, None)).collect();
    }

    /// Ends the transaction: what was set in it stays if it committed.
    pub fn end_transaction(&mut self, committed: bool) {
        if self.local.is_empty() && self.pending.is_empty() {
            return;
        }
        self.changed();
        self.local.clear();
        let pending = std::mem::take(&mut self.pending);
        for (name, value) in pending.into_iter().filter(|_| committed) {
            match value {
                Some(v) => self.set.insert(name, v),
                None => self.set.remove(&name),
            };
        }
    }

    /// Name, value and description of all settings.
    pub fn all(&self) -> Vec<(&'static str, String, &'static str)> {
        VARS.iter()
            .filter(|v| !v.system_only)
            .map(|v| (v.name, self.get(v.name).unwrap_or_default().to_owned(), v.description))
            .collect()
    }

    /// Name and value of the settings that clients are told of.
    pub fn reported(&self) -> Vec<(&'static str, String)> {
        let reported = VARS.iter().filter(|v| v.report);
        reported.map(|v| (v.name, self.get(v.name).unwrap_or_default().to_owned())).collect()
    }

    /// The values by lower-case name, as planning wants them.
    pub fn to_map(&self) -> Arc<BTreeMap<String, String>> {
        let all = || self.all().into_iter().map(|(n, v, _)| (n.to_ascii_lowercase(), v)).collect();
        Arc::clone(self.map.get_or_init(|| Arc::new(all())))
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn set(vars: &mut SessionVars, name: &str, value: &str, local: bool) {
        vars.set(name, Some(&[value.to_owned()]), local).unwrap();
    }

    #[test]
    fn values_end_with_their_transaction() {
        let mut vars = SessionVars::default();
        vars.set_base("cluster", "c0");
        set(&mut vars, "cluster", "c1", false);
        set(&mut vars, "cluster", "c2", true);
        assert_eq!(vars.get("cluster"), Some("c2"));
        vars.end_transaction(true);
        assert_eq!(vars.get("cluster"), Some("c1"));
        set(&mut vars, "cluster", "c3", false);
        vars.end_transaction(false);
        assert_eq!(vars.get("cluster"), Some("c1"));
        vars.reset_all();
        assert_eq!(vars.get("cluster"), Some("c0"));
        vars.end_transaction(false);
        assert_eq!(vars.get("cluster"), Some("c1"));
        vars.set("cluster", None, false).unwrap();
        vars.end_transaction(true);
        assert_eq!(vars.get("cluster"), Some("c0"));
        // SET after SET LOCAL takes its place.
        set(&mut vars, "cluster", "c4", true);
        set(&mut vars, "cluster", "c5", false);
        assert_eq!(vars.get("cluster"), Some("c5"));
    }

    #[test]
    fn transactions_begin_with_the_sessions_modes() {
        let mut vars = SessionVars::default();
        assert_eq!(vars.get("transaction_isolation"), Some("strict serializable"));
        set(&mut vars, "default_transaction_isolation", "serializable", false);
        set(&mut vars, "default_transaction_read_only", "on", false);
        vars.end_transaction(true);
        assert_eq!(vars.get("transaction_isolation"), Some("serializable"));
        assert_eq!(vars.get("transaction_read_only"), Some("on"));
        set(&mut vars, "transaction_read_only", "off", true);
        assert_eq!(vars.get("transaction_read_only"), Some("off"));
        vars.end_transaction(true);
        assert_eq!(vars.get("transaction_read_only"), Some("on"));
    }
}
