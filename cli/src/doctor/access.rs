//! Who may call server functions, who may open the admin pages, and whose word about clients counts (contract §10).

use std::net::IpAddr;

use pilar_settings::{NEW_TOKEN, SAFE_TOKEN};

use super::Case;
use super::artifacts::Released;
use crate::finding::Finding;

pub(super) fn check(case: &Case<'_>, released: &Released) -> Vec<Finding> {
    let mut findings = vec![rpc(case, released)];
    findings.extend(dfs(case));
    findings.extend(trusted_cluster(case));
    findings.extend(rpc_token(case));
    findings.extend(admin(case));
    findings.push(proxy_headers(case));
    findings
}

/// The mode that is in effect: the first of §10 that is turned on.
fn rpc(case: &Case<'_>, released: &Released) -> Finding {
    let validates = case.flag("DFS_VALIDATE_ACCESS_TOKEN") && case.settings.is_set("DFS_AUTHORITY");
    let mode = if validates {
        "dfs-oidc-verified"
    } else if case.settings.is_set("RPC_AUTH_TOKEN") {
        "static-token"
    } else if case.flag("DIPS_TRUST_CLUSTER_AUTH") {
        "trusted-cluster"
    } else {
        let who = match released.with_functions.as_slice() {
            [] => String::new(),
            some => {
                let ids: Vec<&str> = some.iter().map(|id| id.as_str()).collect();
                format!(", those of {} included", ids.join(", "))
            }
        };
        let message = format!("the mode is none: anybody may call server functions{who}");
        let remedy = "configure DFS_AUTHORITY, DFS_AUDIENCE and DFS_VALIDATE_ACCESS_TOKEN=1, or set RPC_AUTH_TOKEN";
        return Finding::bad(case.production, "rpc-auth", message, remedy);
    };
    Finding::ok("rpc-auth", format!("the mode is {mode}"))
}

/// Half a configuration of DFS leaves tokens unchecked, or refuses every one.
fn dfs(case: &Case<'_>) -> Vec<Finding> {
    let settings = &case.settings;
    let validate = case.flag("DFS_VALIDATE_ACCESS_TOKEN");
    let authority = settings.value("DFS_AUTHORITY");
    let mut findings = Vec::new();
    let mut tell = |serious, message: &str, remedy: &str, name| {
        findings.push(Finding::bad(serious, "dfs", message, remedy).variable(name));
    };
    if validate && authority.is_none() {
        let message = "access tokens are to be validated, but nobody is named who issues them";
        tell(true, message, "set DFS_AUTHORITY", "DFS_AUTHORITY");
    }
    if validate && !settings.is_set("DFS_AUDIENCE") {
        let message =
            "without an audience, a token that was made for another application counts too";
        tell(
            case.production,
            message,
            "set DFS_AUDIENCE to the id of this application",
            "DFS_AUDIENCE",
        );
    }
    if authority.is_some() && !validate {
        let message = "DFS_AUTHORITY is set, but access tokens are not validated";
        let name = "DFS_VALIDATE_ACCESS_TOKEN";
        tell(false, message, "set DFS_VALIDATE_ACCESS_TOKEN=1", name);
    }
    if authority.is_some_and(|url| url.starts_with("http://")) {
        let message =
            "whoever is on the way may replace the keys of an issuer that is read over http";
        tell(case.production, message, "use https", "DFS_AUTHORITY");
    }
    findings
}

/// The word of the ingress counts only with a mark that nobody else can make.
fn trusted_cluster(case: &Case<'_>) -> Option<Finding> {
    if !case.flag("DIPS_TRUST_CLUSTER_AUTH") {
        return None;
    }
    let required = case.settings.flag("TRUST_CLUSTER_REQUIRE_INGRESS_HEADER").unwrap_or(true);
    let names = ["TRUST_CLUSTER_INGRESS_HEADER", "TRUST_CLUSTER_INGRESS_VALUE"];
    let missing = names.into_iter().find(|name| !case.settings.is_set(name));
    let (message, remedy, name) = if !required {
        let message =
            "no mark of the ingress is required, so any pod of the cluster may say who it is";
        let name = "TRUST_CLUSTER_REQUIRE_INGRESS_HEADER";
        (message, "leave it out, and set the header and value of the ingress", name)
    } else if let Some(name) = missing {
        ("the mark of the ingress is required, but not all of it is named", "set it", name)
    } else {
        let message = "the identity that the ingress forwards counts, with its mark";
        return Some(Finding::ok("trusted-cluster", message));
    };
    let serious = case.production || required;
    Some(Finding::bad(serious, "trusted-cluster", message, remedy).variable(name))
}

fn rpc_token(case: &Case<'_>) -> Option<Finding> {
    let (code, name) = ("rpc-token", "RPC_AUTH_TOKEN");
    let length = case.settings.value(name)?.chars().count();
    Some(if length < SAFE_TOKEN {
        let message =
            format!("it has {length} characters; shorter than {SAFE_TOKEN} can be guessed");
        Finding::bad(case.production, code, message, NEW_TOKEN).variable(name)
    } else {
        Finding::ok(code, format!("it has {length} characters"))
    })
}

/// By the rule of the host, which does not start with one that is too short: that is said with the other variables.
fn admin_token(case: &Case<'_>, name: &'static str) -> Finding {
    let code = "admin-token";
    match (case.settings.value(name), case.settings.weak_admin_token()) {
        (None, _) => {
            let message = "no token is set, so nobody can open /_admin";
            Finding::bad(case.production, code, message, NEW_TOKEN).variable(name)
        }
        (Some(_), Some(message)) => Finding::warn(code, message, NEW_TOKEN).variable(name),
        (Some(token), None) => {
            Finding::ok(code, format!("it has {} characters", token.chars().count()))
        }
    }
}

fn admin(case: &Case<'_>) -> Vec<Finding> {
    let name = "ADMIN_AUTH_TOKEN";
    let mut findings = vec![admin_token(case, name)];
    let admin = case.settings.value(name);
    if admin.is_some() && admin == case.settings.value("RPC_AUTH_TOKEN") {
        let message =
            "it is the same as RPC_AUTH_TOKEN: whoever calls functions may change releases";
        findings
            .push(Finding::bad(case.production, "admin-token", message, NEW_TOKEN).variable(name));
    }
    // In production the host does not start with it, which is said with the other variables.
    if case.flag("ALLOW_UNAUTHENTICATED_ADMIN") && !case.production {
        let name = "ALLOW_UNAUTHENTICATED_ADMIN";
        let message = "everybody who reaches this host may open /_admin";
        findings.push(Finding::warn("admin-open", message, "unset it").variable(name));
    }
    findings
}

/// What clients say about themselves counts only where a proxy says it in their place.
fn proxy_headers(case: &Case<'_>) -> Finding {
    let name = "TRUST_PROXY_HEADERS";
    if !case.flag(name) {
        return Finding::ok("proxy-headers", "x-forwarded-* of clients is not believed");
    }
    let bind = case.settings.value("HOST_BIND").and_then(|text| text.parse::<IpAddr>().ok());
    if bind.is_some_and(|address| address.is_loopback()) {
        return Finding::ok("proxy-headers", "x-forwarded-* is believed of this machine only");
    }
    let message = "x-forwarded-* is believed of everybody who reaches the port";
    let remedy = "let only the proxy reach it (NetworkPolicy, HOST_BIND), and have the proxy replace these headers";
    Finding::warn("proxy-headers", message, remedy).variable(name)
}
