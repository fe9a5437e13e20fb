//! `/docs`: the OpenAPI document as an interactive page, served from the binary alone.

use std::sync::{Arc, OnceLock};

use actix_web::http::header::{self, HeaderValue};
use actix_web::{HttpRequest, HttpResponse, Resource, web};
use utoipa_swagger_ui::Config;

use crate::error::ApiError;
use crate::routes::method_not_allowed;

/// Where the page lies.
const PATH: &str = "/docs";
/// What the page may load: its own files. It sets styles inline and shows images from `data:` URLs.
const CONTENT_SECURITY_POLICY: HeaderValue = HeaderValue::from_static(
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; \
     font-src 'self'; connect-src 'self'; base-uri 'self'; form-action 'none'; frame-ancestors 'none'",
);

/// Registers the page and its files.
pub(crate) fn register(config: &mut web::ServiceConfig) {
    for pattern in [PATH.to_owned(), format!("{PATH}/{{file:.*}}")] {
        let resource = Resource::new(pattern)
            .default_service(method_not_allowed("GET".to_owned()))
            .route(web::get().to(serve));
        config.service(resource);
    }
}

async fn serve(request: HttpRequest) -> Result<HttpResponse, ApiError> {
    static CONFIG: OnceLock<Arc<Config<'static>>> = OnceLock::new();
    let config = CONFIG.get_or_init(|| Arc::new(Config::from("/api/openapi.json").try_it_out_enabled(true)));
    let name = request.match_info().get("file").unwrap_or_default();
    let file = utoipa_swagger_ui::serve(name, Arc::clone(config)).map_err(|_| ApiError::Internal)?;
    let file = file.ok_or(ApiError::RouteNotFound)?;
    let bytes = match name {
        // The page names its files relative to itself, which without the trailing slash is elsewhere.
        "" => with_base(&file.bytes),
        _ => file.bytes.into_owned(),
    };
    Ok(HttpResponse::Ok()
        .insert_header((header::CONTENT_SECURITY_POLICY, CONTENT_SECURITY_POLICY))
        .insert_header((header::CACHE_CONTROL, "no-cache"))
        .content_type(file.content_type)
        .body(bytes))
}

fn with_base(page: &[u8]) -> Vec<u8> {
    String::from_utf8_lossy(page)
        .replacen("<head>", &format!("<head><base href=\"{PATH}/\">"), 1)
        .into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_loads_nothing_from_elsewhere() {
        let config = Arc::new(Config::from("/api/openapi.json"));
        for name in ["index.html", "swagger-initializer.js"] {
            let file = utoipa_swagger_ui::serve(name, Arc::clone(&config)).unwrap().unwrap();
            let text = String::from_utf8(file.bytes.into_owned()).unwrap();
            assert!(!text.contains("http://") && !text.contains("https://"), "{name}: {text}");
        }
    }

    #[test]
    fn the_page_finds_its_files_from_both_spellings_of_its_path() {
        let file = utoipa_swagger_ui::serve("", Arc::new(Config::from("/x"))).unwrap().unwrap();
        let page = String::from_utf8(with_base(&file.bytes)).unwrap();
        assert!(page.contains("<head><base href=\"/docs/\">"), "{page}");
    }
}
