//! Lists on web servers, read by ranges through `object_store`, under the address rules of the crawl: a private address
//! is refused on the way there and on every redirect unless `net.allow` or `net.resolve` names it.

use std::sync::Arc;
use std::time::Duration;

use object_store::client::{ClientOptions, HttpClient, HttpConnector};
use object_store::http::HttpBuilder;
use object_store::path::Path as ObjectPath;
use object_store::{GetOptions, ObjectStore, RetryConfig};
use url::{Position, Url};

use super::Object;
use crate::crawl::address::{Access, Policy};
use crate::crawl::config::NetConfig;
use crate::crawl::dns::Dns;
use crate::reason::Reason;
use crate::store::wait;
use crate::{Error, Result};

/// Hands `object_store` the guarded client.
#[derive(Debug)]
struct Guarded(reqwest::Client);

impl HttpConnector for Guarded {
    fn connect(&self, _: &ClientOptions) -> object_store::Result<HttpClient> {
        Ok(HttpClient::new(self.0.clone()))
    }
}

/// The file behind an `http(s)://` URL, its query included.
///
/// # Errors
/// A refused address, a server that does not answer, a file that is not there.
pub(crate) fn http_object(name: &str, net: &NetConfig) -> Result<Object> {
    let url = Url::parse(name).map_err(|e| Error::config(name, format!("not a URL: {e}")))?;
    let policy = Policy::new(net)?;
    let access = policy.check(&url).map_err(|reason| refused(name, reason))?;
    let path = ObjectPath::from_url_path(url.path()).map_err(|e| Error::config(name, e.to_string()))?;
    let mut base = url[..Position::BeforePath].to_owned();
    if let Some(query) = url.query() {
        base = format!("{base}/?{query}");
    }
    let store = HttpBuilder::new()
        .with_url(base)
        .with_retry(RetryConfig {
            max_retries: 3,
            retry_timeout: Duration::from_secs(30),
            ..RetryConfig::default()
        })
        .with_http_connector(Guarded(client(net, &policy, access)?))
        .build()
        .map_err(|source| Error::Store { location: name.to_owned(), source })?;
    sized(Arc::new(store), path, name)
}

/// Asks for the first byte, which tells the size: not every server answers HEAD.
fn sized(objects: Arc<dyn ObjectStore>, path: ObjectPath, name: &str) -> Result<Object> {
    let first = GetOptions { range: Some((0..1).into()), ..GetOptions::default() };
    let part = wait(async { objects.get_opts(&path, first).await.map(|found| found.meta.size) });
    if let Ok(bytes) = part {
        return Ok(Object { objects, path, name: name.to_owned(), bytes });
    }
    // Only an empty file has no first byte; else it is not there, or the server sends whole files alone.
    let object = Object::find(objects, path, name)?;
    match object.bytes {
        0 => Ok(object),
        _ => Err(Error::input(name, "the server does not send parts of files (HTTP ranges)")
            .with_hint("download the file and name it on disk")),
    }
}

fn refused(name: &str, reason: Reason) -> Error {
    Error::config(name, reason.text()).with_hint(reason.hint())
}

fn client(net: &NetConfig, policy: &Policy, access: Access) -> Result<reqwest::Client> {
    drop(rustls::crypto::ring::default_provider().install_default());
    let (rules, most) = (policy.clone(), net.max_redirects as usize);
    let redirect = reqwest::redirect::Policy::custom(move |attempt| {
        // A server that is trusted by name does not pass its trust on.
        match rules.check(attempt.url()) {
            _ if attempt.previous().len() > most => attempt.error(Reason::Redirects.text()),
            Ok(found) if found == access => attempt.follow(),
            _ => attempt.error(Reason::AddressRefused.text()),
        }
    });
    let built = reqwest::Client::builder()
        .user_agent(&net.user_agent)
        .connect_timeout(Duration::from_secs_f64(net.connect_timeout))
        .read_timeout(Duration::from_secs(30))
        .redirect(redirect)
        .no_proxy()
        .dns_resolver(policy.resolver(access, &Dns::new(&net.dns)?))
        .build();
    built.map_err(|e| Error::Network { message: e.to_string() })
}
