//! Query parameters: as strict as bodies.

use std::str::FromStr;

use actix_web::web;
use cryptopay_domain::Permission;

use crate::fields::{FieldProblems, clipped, quoted};

/// The parameter by which `verify` is asked about a permission.
pub(crate) const PERMISSION: &str = "permission";

/// Which query parameters a route takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Parameters {
    /// These, each at most once, and no other.
    Only(&'static [&'static str]),
    /// These, each at most once; others belong to somebody else and are ignored.
    AmongOthers(&'static [&'static str]),
}

/// The parameters of one request, decoded.
pub(crate) struct Query(Vec<(String, String)>);

impl Parameters {
    /// The names of the parameters that mean something.
    pub(crate) const fn names(self) -> &'static [&'static str] {
        match self {
            Self::Only(names) | Self::AmongOthers(names) => names,
        }
    }
}

impl Query {
    /// Reads a query string.
    pub(crate) fn read(text: &str) -> Self {
        Self(
            web::Query::<Vec<(String, String)>>::from_query(text)
                .map(web::Query::into_inner)
                .unwrap_or_default(),
        )
    }

    /// The first value of a parameter.
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(given, _)| given == name).map(|(_, value)| value.as_str())
    }

    /// The permission that is asked about, if a valid one is.
    pub(crate) fn asked_permission(&self) -> Option<Permission> {
        self.get(PERMISSION).and_then(|name| name.parse().ok())
    }

    /// What is wrong with names, and with the value of `permission`.
    pub(crate) fn problems(&self, taken: Parameters) -> FieldProblems {
        let mut problems = FieldProblems::default();
        for (place, (name, _)) in self.0.iter().enumerate() {
            let is_taken = taken.names().contains(&name.as_str());
            if is_taken && self.0[..place].iter().any(|(earlier, _)| earlier == name) {
                problems.add(name.clone(), "is given more than once");
            } else if !is_taken && matches!(taken, Parameters::Only(_)) && place < MAX_NAMED {
                problems.add(clipped(name), unknown(taken.names()));
            }
        }
        if taken.names().contains(&PERMISSION)
            && let Some(name) = self.get(PERMISSION)
            && let Err(problem) = Permission::from_str(name)
        {
            problems.add(PERMISSION, format!("{} is no permission: {problem}", quoted(name)));
        }
        problems
    }
}

/// So many unknown parameters are named.
const MAX_NAMED: usize = 32;

fn unknown(taken: &[&str]) -> String {
    if taken.is_empty() {
        "is unknown; this route takes no query parameters".to_owned()
    } else {
        format!("is unknown; this route takes the query parameters {}", taken.join(", "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problem_names(query: &str, taken: Parameters) -> Vec<String> {
        Query::read(query).problems(taken).names().map(str::to_owned).collect()
    }

    #[test]
    fn unknown_and_repeated_parameters_are_named() {
        let list = Parameters::Only(&["limit", "cursor"]);
        for (query, expected) in [
            ("", &[][..]),
            ("limit=1&cursor=x", &[]),
            ("limit=1&limit=1", &["limit"]),
            ("Limit=1", &["Limit"]),
            ("x", &["x"]),
            ("=", &[""]),
            ("%6cimit=1&limit=2", &["limit"]),
            ("a=1&a=2&b=3", &["a", "b"]),
            ("access_token=secret", &["access_token"]),
        ] {
            assert_eq!(problem_names(query, list), expected, "{query}");
        }
    }

    #[test]
    fn a_permission_must_be_one() {
        let taken = Parameters::Only(&[PERMISSION]);
        assert_eq!(problem_names("permission=read", taken), [""; 0]);
        for query in
            ["permission=", "permission=READ", "permission=read,read", "permission=read&permission=read"]
        {
            assert_eq!(problem_names(query, taken), [PERMISSION], "{query}");
        }
        assert_eq!(
            Query::read("permission=create%5Fpayments").asked_permission(),
            Some(Permission::CreatePayments)
        );
    }

    #[test]
    fn a_lenient_route_minds_its_own_parameters_alone() {
        let taken = Parameters::AmongOthers(&[PERMISSION]);
        assert_eq!(problem_names("x=1&x=2&permission=read", taken), [""; 0]);
        assert_eq!(problem_names("x=1&permission=nothing", taken), [PERMISSION]);
    }
}
