//! What there is to know of one route.

use actix_web::Route;
use actix_web::http::Method;
use cryptopay_domain::Environment;

use crate::authority::Authority;
use crate::error_code::ErrorCode;
use crate::query::Parameters;
use crate::rate_limit::Budget;

/// One route.
pub(crate) struct RouteRow {
    /// The method it answers.
    pub(crate) verb: Verb,
    /// Its path, without the trailing slash with which it is answered just the same.
    pub(crate) path: &'static str,
    /// Who may use it.
    pub(crate) authority: Authority,
    /// Which query parameters it takes.
    pub(crate) query: Parameters,
    /// Whether it takes a body.
    pub(crate) body: BodyRule,
    /// Which errors it has beside those that authority, query and body bring along.
    pub(crate) errors: &'static [ErrorCode],
    /// Who answers.
    pub(crate) handler: fn() -> Route,
    /// What its requests are counted against.
    pub(crate) budget: Budget,
    /// Where it exists.
    pub(crate) availability: Availability,
}

/// The methods a route may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verb {
    Any,
    Get,
    Post,
    Patch,
    Delete,
}

/// Whether a route takes a body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum BodyRule {
    /// A JSON object with the handler's fields.
    Required,
    /// The same, or no body at all.
    Optional,
    /// None; an object without fields is let pass.
    Nothing,
    /// Whatever comes is not looked at.
    Ignored,
}

/// In which environments a route exists; elsewhere it is a 404 like any path that means nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Availability {
    Everywhere,
    SandboxOnly,
}

/// A row of the table: a route that exists everywhere and is limited as most are.
pub(crate) const fn row(
    verb: Verb,
    path: &'static str,
    authority: Authority,
    query: Parameters,
    body: BodyRule,
    errors: &'static [ErrorCode],
    handler: fn() -> Route,
) -> RouteRow {
    let (budget, availability) = (Budget::General, Availability::Everywhere);
    RouteRow { verb, path, authority, query, body, errors, handler, budget, availability }
}

impl RouteRow {
    /// The same, with requests that are counted otherwise.
    pub(crate) const fn counted(self, budget: Budget) -> Self {
        Self { budget, ..self }
    }

    /// The same, for the sandbox alone.
    pub(crate) const fn sandbox_only(self) -> Self {
        Self { availability: Availability::SandboxOnly, ..self }
    }
}

impl Availability {
    /// Whether a server of `environment` has the route.
    pub(crate) fn includes(self, environment: Environment) -> bool {
        self == Self::Everywhere || environment == Environment::Sandbox
    }
}

impl Verb {
    /// The method's name; `*` when every method is answered.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Any => "*",
            Self::Get => "GET",
            Self::Post => "POST",
            Self::Patch => "PATCH",
            Self::Delete => "DELETE",
        }
    }

    /// The method; `None` when every one is answered.
    pub(crate) const fn method(self) -> Option<Method> {
        match self {
            Self::Any => None,
            Self::Get => Some(Method::GET),
            Self::Post => Some(Method::POST),
            Self::Patch => Some(Method::PATCH),
            Self::Delete => Some(Method::DELETE),
        }
    }
}
