//! Webhook endpoints: making, listing, changing and deleting them, and rotating their secrets.

use std::convert::Infallible;

use cryptopay_auth::{Failure, Outcome, Principal, RequestContext};
use cryptopay_domain::webhook_endpoint::{DisabledReason, EndpointSecrets, EndpointStatus, SecretOverlap};
use cryptopay_domain::{Description, EventFilter, Page, PageRequest, WebhookEndpoint, WebhookEndpointId};
use cryptopay_store::audit::AuditEvent;
use cryptopay_store::webhook_endpoint::{EndpointChange as Written, EndpointInsert};
use cryptopay_webhook::{Target, TargetError, WebhookSecret};

use crate::audit::endpoint_event;
use crate::core::{Inner, Payments};

/// What a merchant asks of a new endpoint.
#[derive(Clone, Debug)]
pub struct NewEndpoint {
    /// Where to post.
    pub url: String,
    /// What it wants to hear of.
    pub events: EventFilter,
    /// What it is, in the merchant's words.
    pub description: Option<Description>,
}

/// What a merchant wants changed; what is absent stays.
#[derive(Clone, Debug, Default)]
pub struct EndpointChange {
    /// Where to post. Another URL starts without a history of failures.
    pub url: Option<String>,
    /// What it wants to hear of.
    pub events: Option<EventFilter>,
    /// What it is; `Some(None)` takes the description away.
    pub description: Option<Option<Description>>,
    /// Whether anything is posted.
    pub status: Option<RequestedStatus>,
}

/// What a merchant can make of an endpoint's status.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RequestedStatus {
    /// Post again, whatever has failed so far.
    Enabled,
    /// Post nothing; what is pending is given up.
    Disabled,
}

/// An endpoint at one of the moments at which its secret is seen.
#[derive(Debug)]
pub struct NewWebhookEndpoint {
    /// The endpoint.
    pub endpoint: WebhookEndpoint,
    /// What signs its deliveries.
    pub secret: WebhookSecret,
}

/// The merchant has no such thing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotFound;

/// Why no endpoint is made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CreateEndpointRejection {
    /// Nothing may be posted there.
    Url(TargetError),
    /// As many endpoints as there may be.
    TooMany,
    /// The caller's account was disabled meanwhile.
    Unauthenticated,
}

/// Why an endpoint is not changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ChangeEndpointRejection {
    /// The merchant has no such endpoint.
    NotFound,
    /// Nothing may be posted there.
    Url(TargetError),
}

impl Payments {
    /// Makes an endpoint. Its URL is judged now, and again at each dial.
    ///
    /// # Errors
    /// [`CreateEndpointRejection`].
    pub async fn create_endpoint(
        &self,
        principal: &Principal,
        new: NewEndpoint,
        context: &RequestContext,
    ) -> Outcome<NewWebhookEndpoint, CreateEndpointRejection> {
        let inner = &*self.inner;
        inner
            .check_url(&new.url)
            .await
            .map_err(|error| Failure::Rejected(CreateEndpointRejection::Url(error)))?;
        let now = inner.now();
        let id = WebhookEndpointId(inner.next_id(now)?);
        let (secret, sealed) = inner.new_secret(id)?;
        let endpoint = WebhookEndpoint {
            id,
            user_id: principal.user_id,
            url: new.url,
            events: new.events,
            description: new.description,
            status: EndpointStatus::Enabled,
            created_at: now,
            failing_since: None,
            secrets: EndpointSecrets::new(sealed),
        };
        let audit = endpoint_event(principal, "webhook_endpoint.created", id, context, now);
        match inner.store().insert_webhook_endpoint(endpoint.clone(), audit).await? {
            EndpointInsert::Inserted => Ok(NewWebhookEndpoint { endpoint, secret }),
            EndpointInsert::TooMany => Err(Failure::Rejected(CreateEndpointRejection::TooMany)),
            EndpointInsert::UserGone => Err(Failure::Rejected(CreateEndpointRejection::Unauthenticated)),
        }
    }

    /// The merchant's endpoints, newest first.
    ///
    /// # Errors
    /// [`Failure::Unavailable`] when the store does not answer.
    pub async fn list_endpoints(
        &self,
        principal: &Principal,
        request: PageRequest<WebhookEndpointId>,
    ) -> Outcome<Page<WebhookEndpoint, WebhookEndpointId>, Infallible> {
        Ok(self.inner.store().list_webhook_endpoints(principal.user_id, request).await?)
    }

    /// One of the merchant's endpoints.
    ///
    /// # Errors
    /// [`NotFound`].
    pub async fn get_endpoint(
        &self,
        principal: &Principal,
        id: WebhookEndpointId,
    ) -> Outcome<WebhookEndpoint, NotFound> {
        let found = self.inner.store().find_webhook_endpoint(principal.user_id, id).await?;
        found.ok_or(Failure::Rejected(NotFound))
    }

    /// Changes an endpoint. Enabling it, and pointing it elsewhere, forgets its failures; disabling it gives
    /// up what is pending.
    ///
    /// # Errors
    /// [`ChangeEndpointRejection`].
    pub async fn change_endpoint(
        &self,
        principal: &Principal,
        id: WebhookEndpointId,
        change: EndpointChange,
        context: &RequestContext,
    ) -> Outcome<WebhookEndpoint, ChangeEndpointRejection> {
        let inner = &*self.inner;
        if let Some(url) = &change.url {
            // Whose endpoint it is comes first: a stranger's request asks no name server.
            let found = inner.store().find_webhook_endpoint(principal.user_id, id).await?;
            found.ok_or(Failure::Rejected(ChangeEndpointRejection::NotFound))?;
            inner
                .check_url(url)
                .await
                .map_err(|error| Failure::Rejected(ChangeEndpointRejection::Url(error)))?;
        }
        let audit = AuditEvent {
            detail: Some(change.names().join(", ")),
            ..endpoint_event(principal, "webhook_endpoint.changed", id, context, inner.now())
        };
        let changed = inner.change(principal, id, move |endpoint| change.apply_to(endpoint), audit).await;
        changed.map_err(|failure| failure.map_rejection(|NotFound| ChangeEndpointRejection::NotFound))
    }

    /// Deletes an endpoint with all its deliveries, and gives it as it was.
    ///
    /// # Errors
    /// [`NotFound`].
    pub async fn delete_endpoint(
        &self,
        principal: &Principal,
        id: WebhookEndpointId,
        context: &RequestContext,
    ) -> Outcome<WebhookEndpoint, NotFound> {
        let inner = &*self.inner;
        let now = inner.now();
        let audit = endpoint_event(principal, "webhook_endpoint.deleted", id, context, now);
        let deleted = inner.store().delete_webhook_endpoint(principal.user_id, id, now, audit).await?;
        deleted.ok_or(Failure::Rejected(NotFound))
    }

    /// Gives an endpoint a new secret. For `overlap` deliveries are signed with the one before as well; where
    /// an overlap is running already, its oldest secret ends at once.
    ///
    /// # Errors
    /// [`NotFound`].
    pub async fn rotate_secret(
        &self,
        principal: &Principal,
        id: WebhookEndpointId,
        overlap: SecretOverlap,
        context: &RequestContext,
    ) -> Outcome<NewWebhookEndpoint, NotFound> {
        let inner = &*self.inner;
        let now = inner.now();
        let (secret, sealed) = inner.new_secret(id)?;
        let audit = AuditEvent {
            detail: Some(format!("overlap {} s", overlap.duration().as_secs())),
            ..endpoint_event(principal, "webhook_endpoint.secret_rotated", id, context, now)
        };
        let rotate = move |endpoint: WebhookEndpoint| WebhookEndpoint {
            secrets: endpoint.secrets.rotate(sealed, overlap, now),
            ..endpoint
        };
        let endpoint = inner.change(principal, id, rotate, audit).await?;
        Ok(NewWebhookEndpoint { endpoint, secret })
    }
}

impl Inner {
    /// Judges where a merchant wants to be told of things: its text, and what its name stands for just now.
    async fn check_url(&self, url: &str) -> Result<(), TargetError> {
        let resolver = self.transport.resolver();
        Target::parse(url, resolver.policy())?.check_resolution(resolver).await
    }

    async fn change(
        &self,
        principal: &Principal,
        id: WebhookEndpointId,
        change: impl FnOnce(WebhookEndpoint) -> WebhookEndpoint + Send + 'static,
        audit: AuditEvent,
    ) -> Outcome<WebhookEndpoint, NotFound> {
        let (user, now) = (principal.user_id, audit.occurred_at);
        let decide = move |endpoint| Ok::<_, Infallible>((change(endpoint), vec![audit]));
        match self.store().change_webhook_endpoint(user, id, now, decide).await? {
            Written::Changed(endpoint) => Ok(endpoint),
            Written::NotFound => Err(Failure::Rejected(NotFound)),
        }
    }
}

impl EndpointChange {
    /// The names of what is changed, for the audit log; never the values, which may hold secrets.
    fn names(&self) -> Vec<&'static str> {
        let status = self.status.map(|status| match status {
            RequestedStatus::Enabled => "status enabled",
            RequestedStatus::Disabled => "status disabled",
        });
        let names = [
            self.url.as_ref().map(|_| "url"),
            self.events.as_ref().map(|_| "events"),
            self.description.as_ref().map(|_| "description"),
            status,
        ];
        names.into_iter().flatten().collect()
    }

    fn apply_to(self, endpoint: WebhookEndpoint) -> WebhookEndpoint {
        let elsewhere = self.url.as_ref().is_some_and(|url| *url != endpoint.url);
        let enabled = self.status == Some(RequestedStatus::Enabled);
        WebhookEndpoint {
            url: self.url.unwrap_or(endpoint.url),
            events: self.events.unwrap_or(endpoint.events),
            description: self.description.unwrap_or(endpoint.description),
            status: match (self.status, endpoint.status) {
                (Some(RequestedStatus::Enabled), _) => EndpointStatus::Enabled,
                (Some(RequestedStatus::Disabled), EndpointStatus::Enabled) => {
                    EndpointStatus::Disabled(DisabledReason::ByMerchant)
                }
                // What disabled it first is what the merchant has to know.
                (_, status) => status,
            },
            failing_since: endpoint.failing_since.filter(|_| !elsewhere && !enabled),
            ..endpoint
        }
    }
}
