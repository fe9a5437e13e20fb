//! The words of the audit log.

use cryptopay_domain::{Timestamp, UserId};
use cryptopay_store::audit::AuditEvent;

use crate::context::RequestContext;
use crate::principal::Principal;

/// How what was tried ended.
#[derive(Clone, Copy, Debug)]
pub(crate) enum AuditOutcome {
    Succeeded,
    Refused,
}

/// Begins an event about nobody in particular.
pub(crate) fn event(
    name: &'static str,
    outcome: AuditOutcome,
    context: &RequestContext,
    now: Timestamp,
) -> AuditEvent {
    AuditEvent {
        occurred_at: now,
        event: name,
        outcome: match outcome {
            AuditOutcome::Succeeded => "succeeded",
            AuditOutcome::Refused => "refused",
        },
        user_id: None,
        actor: "anonymous".to_owned(),
        subject: None,
        ip: context.client.to_string(),
        user_agent: context.user_agent.clone(),
        request_id: context.request_id.clone(),
        detail: None,
    }
}

/// Begins an event of something that a principal did.
pub(crate) fn event_by(
    principal: &Principal,
    name: &'static str,
    context: &RequestContext,
    now: Timestamp,
) -> AuditEvent {
    AuditEvent {
        user_id: Some(principal.user_id),
        actor: principal.credential.label(),
        ..event(name, AuditOutcome::Succeeded, context, now)
    }
}

/// Begins an event of something that the operator did on the command line.
pub(crate) fn event_by_operator(name: &'static str, user: Option<UserId>, now: Timestamp) -> AuditEvent {
    AuditEvent {
        user_id: user,
        actor: "operator".to_owned(),
        ..event(name, AuditOutcome::Succeeded, &RequestContext::command_line(), now)
    }
}
