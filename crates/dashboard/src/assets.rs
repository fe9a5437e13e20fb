//! The files of the pages: one stylesheet, one script, one icon. Their paths hold a hash of what they hold, so browsers
//! keep them for good.

use std::sync::OnceLock;

use actix_web::http::header::{self, HeaderValue};
use actix_web::{HttpResponse, Resource, web};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::digest;

/// One file, and where it lies.
pub(crate) struct Asset {
    pub(crate) path: String,
    content_type: &'static str,
    content: &'static str,
}

/// All of them.
pub(crate) struct Assets {
    pub(crate) style: Asset,
    pub(crate) script: Asset,
    pub(crate) icon: Asset,
}

const FOR_GOOD: HeaderValue = HeaderValue::from_static("public, max-age=31536000, immutable");

/// The files. Their paths are the same in every process of one build.
pub(crate) fn all() -> &'static Assets {
    static ASSETS: OnceLock<Assets> = OnceLock::new();
    ASSETS.get_or_init(|| Assets {
        style: asset("dashboard", "css", "text/css; charset=utf-8", include_str!("../assets/dashboard.css")),
        script: asset(
            "dashboard",
            "js",
            "text/javascript; charset=utf-8",
            include_str!("../assets/dashboard.js"),
        ),
        icon: asset("icon", "svg", "image/svg+xml", include_str!("../assets/icon.svg")),
    })
}

fn asset(name: &str, extension: &str, content_type: &'static str, content: &'static str) -> Asset {
    let hash = digest::digest(&digest::SHA256, content.as_bytes());
    let hash = URL_SAFE_NO_PAD.encode(&hash.as_ref()[..9]);
    Asset { path: format!("/dashboard/assets/{name}.{hash}.{extension}"), content_type, content }
}

/// Registers the files. They cost nothing to serve and are counted against nobody.
pub(crate) fn register(service: &mut web::ServiceConfig) {
    let Assets { style, script, icon } = all();
    for asset in [style, script, icon] {
        let serve = move || async move {
            HttpResponse::Ok()
                .insert_header((header::CACHE_CONTROL, FOR_GOOD))
                .insert_header((header::CONTENT_TYPE, asset.content_type))
                .body(asset.content)
        };
        service.service(Resource::new(asset.path.as_str()).route(web::get().to(serve)));
    }
}
