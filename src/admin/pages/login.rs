//! The form that asks for the token.

use maud::{Markup, html};

use super::frame::document;
use super::parts::{Tone, icon};

/// Why somebody is not signed in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LoginProblem {
    /// The token is not `ADMIN_AUTH_TOKEN`.
    WrongToken,
    /// The form was too old, or not ours.
    Expired,
    /// Too many tries.
    TooManyTries,
    /// A form came after the session had ended.
    SessionOver,
}

impl LoginProblem {
    fn words(self) -> &'static str {
        match self {
            Self::WrongToken => {
                "This is not the token of this host. Check for a missing character."
            }
            Self::Expired => "This form was too old. Enter the token again.",
            Self::TooManyTries => "There were too many tries. Wait a minute, then try again.",
            Self::SessionOver => {
                "Your session has ended, so nothing was done. Sign in and do it again."
            }
        }
    }
}

/// The form that asks for the token. It posts `token`, `csrf` and `next`, the path to go on to, to
/// `/_admin/login`. It says nothing of the host.
pub fn login(csrf: &str, next: &str, problem: Option<LoginProblem>) -> Markup {
    let body = html! {
        main id="main" class="login" tabindex="-1" {
            h1 { "Sign in" }
            p { "These pages show what this host serves and why." }
            form method="post" action="/_admin/login" {
                input type="hidden" name="csrf" value=(csrf);
                input type="hidden" name="next" value=(next);
                @if let Some(problem) = problem {
                    p class="notice bad" id="problem" role="alert" { (icon(Tone::Bad)) span { (problem.words()) } }
                }
                label for="token" { "Admin token" }
                input id="token" name="token" type="password" autocomplete="current-password" required autofocus
                    spellcheck="false" aria-invalid=[problem.map(|_| "true")]
                    aria-describedby={ @if problem.is_some() { "problem " } "token-help" };
                p class="help" id="token-help" {
                    "The value of " code { "ADMIN_AUTH_TOKEN" } " in the host's environment. It is kept for this session only."
                }
                button { "Sign in" }
            }
        }
    };
    document("Sign in", &html! {}, &body)
}
