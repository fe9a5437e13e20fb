//! The fields of an endpoint's form: where, what it is, which events.

use cryptopay_domain::{Description, EventFilter, EventType, WebhookEndpoint};
use cryptopay_payments::TargetError;

use crate::event;
use crate::form::{Form, Problems};
use crate::visit::MerchantVisit;

/// The events to choose from. A test comes whatever is chosen.
const OFFERED: [EventType; 4] = [
    EventType::PaymentOrderCreated,
    EventType::PaymentOrderPaid,
    EventType::PaymentOrderExpired,
    EventType::PaymentOrderFailed,
];

/// What the form shows.
pub(crate) struct Fields {
    pub(crate) url: String,
    pub(crate) description: String,
    /// Whether every event is wanted, those of later versions included.
    pub(crate) is_all: bool,
    pub(crate) events: Vec<EventChoice>,
}

/// One of the events to choose.
pub(crate) struct EventChoice {
    pub(crate) name: &'static str,
    pub(crate) label: &'static str,
    pub(crate) tells: &'static str,
    pub(crate) is_chosen: bool,
}

/// What was typed, as far as it can be had.
pub(crate) struct Typed {
    pub(crate) url: String,
    pub(crate) description: Option<Description>,
    pub(crate) events: EventFilter,
}

impl Fields {
    /// As they were typed.
    pub(crate) fn of_form(form: &Form) -> Self {
        let is_chosen = |event: EventType| form.all("events").any(|name| name == event.as_str());
        Self {
            url: form.text("url").to_owned(),
            description: description_text(form),
            is_all: form.text("scope") != "some",
            events: choices(is_chosen),
        }
    }

    /// As they are.
    pub(crate) fn of_endpoint(endpoint: &WebhookEndpoint) -> Self {
        let is_all = endpoint.events == EventFilter::All;
        Self {
            url: endpoint.url.clone(),
            description: endpoint.description.as_ref().map_or("", Description::as_str).to_owned(),
            is_all,
            events: choices(|event| !is_all && endpoint.events.admits(event)),
        }
    }
}

/// Reads the form.
pub(crate) fn read(form: &Form, problems: &mut Problems) -> Option<Typed> {
    let url = form.text("url").trim().to_owned();
    if url.is_empty() {
        problems.add("url", "must not be empty");
    }
    let description = problems.keep("description", Description::parse(&description_text(form)));
    let names: Vec<String> = match form.text("scope") {
        "some" => form.all("events").map(str::to_owned).collect(),
        _ => vec!["*".to_owned()],
    };
    let events = if names.is_empty() {
        problems.add("events", "choose at least one, or all of them");
        None
    } else {
        problems.keep("events", EventFilter::parse(&names))
    };
    let (description, events) = (description?, events?);
    let description = Some(description).filter(|description| !description.as_str().is_empty());
    Some(Typed { url, description, events }).filter(|typed| !typed.url.is_empty())
}

/// Says what is wrong with a URL, and the way out for whoever develops on the same machine.
pub(crate) fn complain_of_url(visit: &MerchantVisit, error: &TargetError, problems: &mut Problems) {
    let is_private = matches!(
        error,
        TargetError::NotPublic(_) | TargetError::PrivateName(_) | TargetError::ResolvesToPrivate(_)
    );
    problems.add("url", error);
    if is_private && visit.site.is_sandbox() {
        const WAY_OUT: &str = "To receive on the machine you develop on, start the server with \
                               CRYPTOPAY_WEBHOOK_ALLOW_PRIVATE=true";
        problems.add("url", WAY_OUT);
    }
}

/// Browsers send every line's end as CR LF (HTML, "constructing the entry list"), whatever it was.
fn description_text(form: &Form) -> String {
    form.text("description").replace("\r\n", "\n")
}

fn choices(is_chosen: impl Fn(EventType) -> bool) -> Vec<EventChoice> {
    let choice = |event: EventType| EventChoice {
        name: event.as_str(),
        label: event::label(event),
        tells: event::tells(event),
        is_chosen: is_chosen(event),
    };
    OFFERED.into_iter().map(choice).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn typed(form: &str) -> (Option<Typed>, Problems) {
        let mut problems = Problems::default();
        let typed = read(&Form::parse(form.as_bytes()), &mut problems);
        assert_eq!(typed.is_none(), !problems.is_empty(), "{form}");
        (typed, problems)
    }

    #[test]
    fn all_events_are_wanted_unless_some_are_chosen() {
        let (all, _) = typed("url=https://shop.example/&scope=all&events=payment_order.paid");
        assert_eq!(all.map(|typed| typed.events), Some(EventFilter::All));
        let (some, _) = typed("url=https://shop.example/&scope=some&events=payment_order.paid");
        let some = some.map(|typed| typed.events);
        assert_eq!(some.map(|events| events.to_wire()), Some(vec!["payment_order.paid"]));
    }

    #[test]
    fn what_cannot_be_is_told_beside_its_field() {
        for (form, field) in [
            ("url=+&scope=all", "url"),
            ("url=https://shop.example/&scope=some", "events"),
            ("url=https://shop.example/&scope=some&events=everything", "events"),
            ("url=https://shop.example/&scope=some&events=*&events=payment_order.paid", "events"),
            ("url=https://shop.example/&description=%00", "description"),
        ] {
            assert!(!typed(form).1.of(field).is_empty(), "{form}");
        }
    }

    #[test]
    fn lines_end_as_they_ended_before_the_browser_had_them() {
        let (several, _) = typed("url=x&description=one%0D%0Atwo");
        let several = several.and_then(|typed| typed.description);
        assert_eq!(several.as_ref().map(Description::as_str), Some("one\ntwo"));
        assert_eq!(typed("url=x&description=").0.map(|typed| typed.description), Some(None));
    }
}
