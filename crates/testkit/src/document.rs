//! The OpenAPI document as a test reads it: which operations there are, and whether an answer is what the
//! document says it is.
//!
//! Stricter than JSON Schema asks: a field that the document does not name is a failure, and so is a keyword
//! this does not know.

use serde_json::{Map, Value};

/// How a template ends that takes in everything below it.
const TAIL: &str = "/{path}";

/// The document that the code makes.
pub struct Document(Value);

/// One operation.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Operation {
    /// `GET` and so on.
    pub method: String,
    /// The path's template, such as `/api/auth/sessions/{id}`.
    pub path: String,
    /// Whether it is open to anyone.
    pub is_open: bool,
}

impl Document {
    /// The document that the code makes.
    #[must_use]
    pub fn of_the_code() -> Self {
        Self(serde_json::from_str(&cryptopay_http::openapi_document()).expect("JSON"))
    }

    /// Every operation.
    #[must_use]
    pub fn operations(&self) -> Vec<Operation> {
        let mut operations = Vec::new();
        for (path, item) in self.0["paths"].as_object().expect("paths") {
            for (method, operation) in item.as_object().expect("operations") {
                operations.push(Operation {
                    method: method.to_ascii_uppercase(),
                    path: path.clone(),
                    is_open: operation["security"].as_array().is_none_or(Vec::is_empty),
                });
            }
        }
        operations
    }

    /// Checks that an answer is one that the document knows.
    pub fn check(&self, method: &str, path: &str, status: u16, body: &Value) {
        let what = format!("{method} {path} {status} {body}");
        let schema = match self.find(method, path) {
            Some(operation) => {
                let response = &operation["responses"][status.to_string()];
                assert!(response.is_object(), "undocumented status: {what}");
                response["content"]["application/json"]["schema"].clone()
            }
            None => {
                assert!(matches!(status, 404 | 405), "undocumented operation: {what}");
                error_schema()
            }
        };
        if let Err(problem) = self.fits(&schema, body, "$") {
            panic!("{problem}: {what}");
        }
    }

    /// Checks that an answer is an error.
    pub fn check_error(&self, body: &Value) {
        if let Err(problem) = self.fits(&error_schema(), body, "$") {
            panic!("{problem}: {body}");
        }
    }

    fn find(&self, method: &str, path: &str) -> Option<&Value> {
        let path = path.split('?').next().unwrap_or_default();
        let items = self.0["paths"].as_object()?;
        let (template, item) = items.iter().find(|(template, _)| is_match(template, path))?;
        // "Any method" is more than a document can say; there all methods are one.
        let any = || if template.ends_with(TAIL) { item.get("get") } else { None };
        item.get(method.to_ascii_lowercase()).or_else(any)
    }

    /// The schema with its references and parts resolved.
    fn resolve(&self, schema: &Value) -> Map<String, Value> {
        let mut resolved = schema.as_object().cloned().unwrap_or_default();
        let mut parts = Vec::new();
        if let Some(reference) = resolved.remove("$ref") {
            let pointer = reference.as_str().and_then(|reference| reference.strip_prefix('#'));
            parts.push(pointer.and_then(|pointer| self.0.pointer(pointer)).expect("a schema").clone());
        }
        if let Some(Value::Array(all)) = resolved.remove("allOf") {
            parts.extend(all);
        }
        for part in parts {
            for (keyword, value) in self.resolve(&part) {
                match (resolved.get_mut(&keyword), value) {
                    (Some(Value::Object(ours)), Value::Object(theirs)) => ours.extend(theirs),
                    (Some(Value::Array(ours)), Value::Array(theirs)) => ours.extend(theirs),
                    (Some(_), _) => {}
                    (None, value) => drop(resolved.insert(keyword, value)),
                }
            }
        }
        resolved
    }

    fn fits(&self, schema: &Value, value: &Value, at: &str) -> Result<(), String> {
        let schema = self.resolve(schema);
        let refuse = |rule: &str| Err(format!("{at} breaks {rule}"));
        for (keyword, rule) in &schema {
            let holds = match keyword.as_str() {
                "description" | "example" | "examples" | "default" | "properties" | "propertyNames" => true,
                "type" => is_of_type(rule, value),
                "enum" => rule.as_array().is_some_and(|all| all.contains(value)),
                "required" => {
                    let names = rule.as_array().into_iter().flatten().filter_map(Value::as_str);
                    names.into_iter().all(|name| value.get(name).is_some())
                }
                "minimum" => value.as_f64() >= rule.as_f64(),
                "maximum" => value.as_f64() <= rule.as_f64(),
                "format" => value.as_str().is_none_or(|text| is_of_format(rule, text)),
                "pattern" => value.as_str().is_none_or(|text| is_of_pattern(rule, text)),
                "items" => {
                    for (place, item) in value.as_array().into_iter().flatten().enumerate() {
                        self.fits(rule, item, &format!("{at}[{place}]"))?;
                    }
                    true
                }
                "oneOf" => {
                    let fitting = |schema: &&Value| self.fits(schema, value, at).is_ok();
                    rule.as_array().into_iter().flatten().filter(fitting).count() == 1
                }
                "additionalProperties" => true,
                unknown => panic!("{at}: the keyword {unknown} is not understood"),
            };
            if !holds {
                return refuse(keyword);
            }
        }
        let Some(fields) = value.as_object() else { return Ok(()) };
        let (named, others) = (schema.get("properties"), schema.get("additionalProperties"));
        for (name, field) in fields {
            let at = format!("{at}.{name}");
            match named.and_then(|named| named.get(name)).or(others) {
                Some(schema) => self.fits(schema, field, &at)?,
                None if named.is_none() => {}
                None => return Err(format!("{at} is not documented")),
            }
        }
        Ok(())
    }
}

fn error_schema() -> Value {
    serde_json::json!({"$ref": "#/components/schemas/Error"})
}

fn is_match(template: &str, path: &str) -> bool {
    if let Some(head) = template.strip_suffix(TAIL) {
        return path.strip_prefix(head).is_some_and(|tail| tail.is_empty() || tail.starts_with('/'));
    }
    let path = path.strip_suffix('/').unwrap_or(path);
    let (wanted, given) = (template.split('/').collect::<Vec<_>>(), path.split('/').collect::<Vec<_>>());
    wanted.len() == given.len()
        && wanted.iter().zip(&given).all(|(wanted, given)| wanted.starts_with('{') || wanted == given)
}

fn is_of_type(rule: &Value, value: &Value) -> bool {
    let is = |name: &Value| match name.as_str() {
        Some("object") => value.is_object(),
        Some("array") => value.is_array(),
        Some("string") => value.is_string(),
        Some("integer") => value.is_i64() || value.is_u64(),
        Some("boolean") => value.is_boolean(),
        Some("null") => value.is_null(),
        other => panic!("the type {other:?} is not understood"),
    };
    match rule {
        Value::Array(names) => names.iter().any(is),
        name => is(name),
    }
}

fn is_of_format(rule: &Value, text: &str) -> bool {
    match rule.as_str() {
        Some("date-time") => {
            text.len() == "2024-01-02T12:00:00Z".len() && cryptopay_domain::Timestamp::parse(text).is_ok()
        }
        Some("date") => text.parse::<cryptopay_domain::Day>().is_ok(),
        Some("int64") => false,
        other => panic!("the format {other:?} is not understood"),
    }
}

/// The patterns of answers are few.
fn is_of_pattern(rule: &Value, text: &str) -> bool {
    let is_key = |text: &str| text.len() == 49 && text.bytes().all(|byte| byte.is_ascii_alphanumeric());
    match rule.as_str() {
        Some("^cp_(live|test)_[0-9A-Za-z]{49}$") => {
            text.strip_prefix("cp_test_").or(text.strip_prefix("cp_live_")).is_some_and(is_key)
        }
        Some("^whsec_[0-9A-Za-z+/]{43}=$") => {
            text.strip_prefix("whsec_").is_some_and(|base64| base64.len() == 44 && base64.ends_with('='))
        }
        Some("^k4\\.pid\\.") => text.starts_with("k4.pid."),
        Some("^k4\\.public\\.") => text.starts_with("k4.public."),
        Some("^(sandbox|production)$") => matches!(text, "sandbox" | "production"),
        Some("^(access_token|api_key)$") => matches!(text, "access_token" | "api_key"),
        other => panic!("the pattern {other:?} is not understood"),
    }
}
