//! `session`: on whose desktop a service runs, on Windows.

use mainstay_core::{ServicePlan, Session};

use super::rights::refuse_on_linux;
use crate::context::{Context, Field};
use crate::keys::Form;

pub(crate) const FORM: Form = Form::Choice(&["services", "active", "prefer_active"]);

/// Reads it. The account of a service in somebody's session is that of who is signed in there, so that no other goes
/// beside it.
pub(crate) fn read(cx: &mut Context<'_>, field: Field<'_>, user: Option<Field<'_>>, plan: &mut ServicePlan) {
    let Some(session) = cx.choice(field, &Session::ALL.map(|session| (session.as_str(), session))) else {
        return;
    };
    if session.is_services() {
        return;
    }
    let instead =
        "Linux has no session for services; a program on a desktop is started by that: ~/.config/autostart";
    if refuse_on_linux(cx, field, instead) {
        return;
    }
    if let Some(user) = user.filter(|_| session.waits()) {
        cx.error(user.span(), "`user` beside `session = \"active\"`")
            .related(field.span(), "it runs as who is signed in")
            .hint("leave `user` out; with session = \"prefer_active\" it counts while nobody is signed in");
        return;
    }
    plan.session = session;
}
