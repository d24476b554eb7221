//! Buckets by URL: `s3://`, `gs://`, `az://` and, for reading, `http(s)://`; set up by the variables that the clouds'
//! own tools read (`AWS_*`, `GOOGLE_*`, `AZURE_*`).

use std::sync::Arc;

use object_store::ObjectStore;
use object_store::path::Path as ObjectPath;

use crate::{Error, Result};

/// Whether a location is a URL of a scheme other than `file`.
pub(super) fn is_url(location: &str) -> bool {
    location.contains("://") && !location.starts_with("file://")
}

fn refused(location: &str, why: &dyn std::fmt::Display) -> Error {
    Error::config(location, format!("not a store that this build knows: {why}"))
        .with_hint("name a folder, or a bucket as s3://BUCKET/PATH, gs://BUCKET/PATH or az://CONTAINER/PATH")
}

/// The store behind a URL, and the path in it. Nothing is asked of the network yet.
#[cfg(not(feature = "crawl"))]
pub(super) fn open(location: &str) -> Result<(Arc<dyn ObjectStore>, ObjectPath)> {
    Err(refused(location, &"it is made without the feature `crawl`"))
}

/// The store behind a URL, and the path in it. Nothing is asked of the network yet.
#[cfg(feature = "crawl")]
pub(super) fn open(location: &str) -> Result<(Arc<dyn ObjectStore>, ObjectPath)> {
    use object_store::ObjectStoreScheme::{AmazonS3, GoogleCloudStorage, Http, MicrosoftAzure};
    use object_store::aws::AmazonS3Builder;
    use object_store::azure::MicrosoftAzureBuilder;
    use object_store::gcp::GoogleCloudStorageBuilder;
    use object_store::http::HttpBuilder;

    let url: url::Url = location.parse().map_err(|e| refused(location, &e))?;
    let (scheme, path) = object_store::ObjectStoreScheme::parse(&url).map_err(|e| refused(location, &e))?;
    // A second call finds the provider installed, which is as good.
    drop(rustls::crypto::ring::default_provider().install_default());
    macro_rules! with_variables {
        ($builder:expr, $prefix:literal) => {
            variables($prefix).fold(
                $builder.with_url(location).with_retry(retry()),
                |builder, (key, value)| match key.parse() {
                    Ok(key) => builder.with_config(key, value),
                    Err(_) => builder,
                },
            )
        };
    }
    let store: object_store::Result<Arc<dyn ObjectStore>> = match scheme {
        AmazonS3 => with_variables!(AmazonS3Builder::new(), "AWS_").build().map(|s| Arc::new(s) as _),
        GoogleCloudStorage => {
            with_variables!(GoogleCloudStorageBuilder::new(), "GOOGLE_").build().map(|s| Arc::new(s) as _)
        }
        MicrosoftAzure => {
            with_variables!(MicrosoftAzureBuilder::new(), "AZURE_").build().map(|s| Arc::new(s) as _)
        }
        Http => {
            let host = &url[..url::Position::BeforePath];
            let plain = object_store::ClientOptions::new().with_allow_http(true);
            let builder = HttpBuilder::new().with_url(host).with_client_options(plain).with_retry(retry());
            builder.build().map(|s| Arc::new(s) as _)
        }
        _ => return Err(refused(location, &"unknown scheme")),
    };
    let store = store.map_err(|source| Error::Store { location: location.to_owned(), source })?;
    Ok((store, path))
}

/// The variables of a cloud, as `object_store` spells its keys.
#[cfg(feature = "crawl")]
fn variables(prefix: &'static str) -> impl Iterator<Item = (String, String)> {
    std::env::vars().filter(move |(key, _)| key.starts_with(prefix)).map(|(k, v)| (k.to_ascii_lowercase(), v))
}

/// Enough for a busy bucket, and a wrong address is told within seconds rather than minutes.
#[cfg(feature = "crawl")]
fn retry() -> object_store::RetryConfig {
    let retry_timeout = std::time::Duration::from_secs(60);
    object_store::RetryConfig { max_retries: 5, retry_timeout, ..Default::default() }
}

/// What the user can do about a failure of a bucket.
pub(crate) fn hint(location: &str, error: &object_store::Error) -> Option<String> {
    use object_store::Error::{NotFound, NotImplemented, NotSupported, PermissionDenied, Unauthenticated};
    let variables = match location.split_once("://")?.0 {
        "s3" | "s3a" => "AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and AWS_REGION",
        "gs" => "GOOGLE_APPLICATION_CREDENTIALS",
        "az" | "adl" | "azure" | "abfs" | "abfss" => {
            "AZURE_STORAGE_ACCOUNT_NAME and AZURE_STORAGE_ACCOUNT_KEY"
        }
        _ => "no credentials: only public addresses can be read",
    };
    Some(match error {
        NotFound { .. } => "check the name of the bucket; it must exist".to_owned(),
        PermissionDenied { .. } | Unauthenticated { .. } => format!("set {variables}"),
        NotImplemented { .. } | NotSupported { .. } => {
            "this store cannot create a file only where none is, on which commits stand: write to a folder, \
             s3://, gs:// or az://"
                .to_owned()
        }
        _ if location.starts_with("s3") => format!(
            "set {variables}; for a server of your own AWS_ENDPOINT, and AWS_ALLOW_HTTP=true if it speaks plain http"
        ),
        _ => format!("set {variables}, and check that the address can be reached"),
    })
}

#[cfg(all(test, feature = "crawl"))]
mod tests {
    use super::*;

    #[test]
    fn urls_of_the_clouds_are_known_and_others_are_refused() {
        for (url, path) in [("s3://bucket/a/b", "a/b"), ("http://127.0.0.1:1/lists", "lists")] {
            assert_eq!(open(url).unwrap().1.as_ref(), path, "{url}");
        }
        let error = open("ftp://host/a").unwrap_err();
        assert!(error.to_string().contains("not a store that this build knows"), "{error}");
        assert!(error.hint().unwrap().contains("s3://BUCKET"), "{error}");
    }

    #[test]
    fn a_refusal_names_the_variables_of_its_cloud() {
        let denied = |path: &str| object_store::Error::PermissionDenied {
            path: path.to_owned(),
            source: "403".into(),
        };
        assert!(hint("gs://bucket", &denied("a")).unwrap().contains("GOOGLE_APPLICATION_CREDENTIALS"));
        assert!(hint("s3://bucket", &denied("a")).unwrap().contains("AWS_ACCESS_KEY_ID"));
        assert_eq!(hint("data/pairs", &denied("a")), None);
    }
}
