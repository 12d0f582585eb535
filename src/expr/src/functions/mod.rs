//! The families of functions, one file (or folder) each. Each has a `pub(super) fn register(r: &mut Registry)`.

use hw_repr::ScalarType;

use crate::func::{CastContext, EvalFn, FuncDef, FuncKind, ParamType, Registry, ReturnType, Role, Volatility};

/// Builds the registry from all families.
pub(crate) fn build() -> Registry {
    Registry::default()
}

fn key_of(name: &str, params: &[ParamType], variadic: Option<&ParamType>) -> String {
    let mut names: Vec<String> = params.iter().map(|p| format!("{p:?}")).collect();
    names.extend(variadic.map(|v| format!("{v:?}...")));
    format!("{name}({})", names.join(","))
}

/// An immutable, strict function that may fail. The methods of [`FuncDef`] below change that.
pub(crate) fn func(name: &'static str, params: Vec<ParamType>, ret: fn() -> ScalarType, eval: EvalFn) -> FuncDef {
    FuncDef {
        name,
        key: key_of(name, &params, None),
        params,
        variadic: None,
        ret: ReturnType::Fixed(ret),
        kind: FuncKind::Function,
        volatility: Volatility::Immutable,
        strict: true,
        introduces_null: false,
        could_error: true,
        role: None,
        eval,
    }
}

/// As [`func`], for an operator.
pub(crate) fn operator(symbol: &'static str, params: Vec<ParamType>, ret: fn() -> ScalarType, eval: EvalFn) -> FuncDef {
    let mut def = func(symbol, params, ret, eval);
    def.kind = FuncKind::Operator;
    def.key = format!("op:{}", def.key);
    def
}

/// As [`func`], for a cast.
pub(crate) fn cast(context: CastContext, params: Vec<ParamType>, ret: fn() -> ScalarType, eval: EvalFn) -> FuncDef {
    let mut def = func("cast", params, ret, eval);
    def.kind = FuncKind::Cast(context);
    def.key = format!("{}->{:?}", def.key, ret());
    def.role = Some(Role::Cast);
    def
}

impl FuncDef {
    /// Computes the result type from the arguments' types.
    pub(crate) fn returning(mut self, ret: fn(&[ScalarType]) -> ScalarType) -> FuncDef {
        self.ret = ReturnType::Computed(ret);
        self
    }

    /// Is called with NULL arguments too.
    pub(crate) fn lax(mut self) -> FuncDef {
        self.strict = false;
        self.introduces_null = true;
        self
    }

    /// May give NULL for arguments that are not.
    pub(crate) fn nullable(mut self) -> FuncDef {
        self.introduces_null = true;
        self
    }

    /// Never gives NULL (a lax function with a value for NULL arguments).
    pub(crate) fn never_null(mut self) -> FuncDef {
        self.introduces_null = false;
        self
    }

    /// Never fails.
    pub(crate) fn infallible(mut self) -> FuncDef {
        self.could_error = false;
        self
    }

    /// Is recognised by the optimizer.
    pub(crate) fn role(mut self, role: Role) -> FuncDef {
        self.role = Some(role);
        self
    }

    /// Depends on the session.
    pub(crate) fn stable(mut self) -> FuncDef {
        self.volatility = Volatility::Stable;
        self
    }

    /// Takes further parameters of that type.
    pub(crate) fn variadic(mut self, param: ParamType) -> FuncDef {
        self.key = key_of(&self.key, &[], Some(&param));
        self.variadic = Some(param);
        self
    }

    /// Has no SQL name.
    pub(crate) fn internal(mut self) -> FuncDef {
        self.kind = FuncKind::Internal;
        self
    }
}
