//! CPU time for each request: every server in every case, one after the other, round by round.

use std::path::Path;

use crate::case::{Case, Coding};
use crate::corpus::Site;
use crate::http::{Connection, Headers, Reply};
use crate::peers::{Part, Peer};
use crate::server::Server;
use crate::statistics::Spread;
use crate::wrk::{self, Load};
use crate::{Failure, Plan, account};

/// What a case showed.
#[derive(Debug)]
pub(crate) struct Measured {
    pub(crate) case: &'static Case,
    /// One for each server, in the order of the lineup.
    pub(crate) rows: Vec<Row>,
}

/// What a case showed of one server.
#[derive(Debug)]
pub(crate) struct Row {
    pub(crate) name: &'static str,
    pub(crate) part: Part,
    /// Microseconds of CPU for each request, round by round; or why the server cannot do the case.
    pub(crate) microseconds: Result<Vec<f64>, String>,
}

/// How a server is asked for the file of a case.
#[derive(Debug)]
struct Question {
    path: String,
    headers: Headers,
    /// Bytes of one reply.
    length: usize,
}

impl Measured {
    /// What our host took, on one of its drivers.
    pub(crate) fn ours(&self, part: Part) -> Option<&[f64]> {
        self.values(part).next()
    }

    /// What the better nginx took.
    pub(crate) fn better_nginx(&self) -> Option<&[f64]> {
        let median = |values: &[f64]| Spread::of(values.iter().copied()).map(|it| it.median);
        self.values(Part::Nginx).min_by(|one, other| {
            let (one, other) = (median(one).unwrap_or(f64::MAX), median(other).unwrap_or(f64::MAX));
            one.total_cmp(&other)
        })
    }

    fn values(&self, part: Part) -> impl Iterator<Item = &[f64]> {
        let rows = self.rows.iter().filter(move |row| row.part == part);
        rows.filter_map(|row| row.microseconds.as_deref().ok())
    }
}

/// Measures all cases of the plan.
pub(crate) fn run(
    plan: &Plan,
    lineup: &[Box<dyn Peer>],
    site: &Site,
    room: &Path,
) -> Result<Vec<Measured>, Failure> {
    if plan.cases.is_empty() {
        return Ok(Vec::new());
    }
    let servers = lineup
        .iter()
        .map(|peer| Server::start(peer.as_ref(), site, room))
        .collect::<Result<Vec<_>, _>>()?;
    let mut all = Vec::new();
    for case in &plan.cases {
        println!("{}", case.title);
        let questions: Vec<Result<Question, String>> =
            servers.iter().map(|server| ask_first(server, case, site)).collect();
        let mut rows: Vec<Row> = lineup
            .iter()
            .zip(&questions)
            .map(|(peer, question)| Row {
                name: peer.name(),
                part: peer.part(),
                microseconds: question.as_ref().map(|_| Vec::new()).map_err(Clone::clone),
            })
            .collect();
        for round in 0..plan.rounds {
            // Each round begins with another server, so that none always follows the same one.
            for turn in 0..servers.len() {
                plan.go_on()?;
                let at = (turn + round) % servers.len();
                let (Some(server), Some(Ok(question)), Some(row)) =
                    (servers.get(at), questions.get(at), rows.get_mut(at))
                else {
                    continue;
                };
                let Ok(values) = &mut row.microseconds else { continue };
                // A machine that stalls for a second is no failure of the server; twice in a row is.
                match measure(server, case, question).or_else(|_| measure(server, case, question)) {
                    Ok(value) => values.push(value),
                    Err(reason) => row.microseconds = Err(reason),
                }
            }
        }
        let measured = Measured { case, rows };
        for row in &measured.rows {
            match &row.microseconds {
                Ok(values) => match Spread::of(values.iter().copied()) {
                    Some(spread) => println!("  {:<24} {:>10.2} µs", row.name, spread.median),
                    None => println!("  {:<24} not measured", row.name),
                },
                Err(reason) => println!("  {:<24} cannot: {reason}", row.name),
            }
        }
        if measured.ours(Part::Ours).is_none() {
            return Err(format!("the host itself failed in the case {}", case.id));
        }
        all.push(measured);
    }
    Ok(all)
}

/// Microseconds of CPU that a server takes for each request.
fn measure(server: &Server, case: &Case, question: &Question) -> Result<f64, Failure> {
    let pids = server.pids();
    let before = account::cpu_nanoseconds(&pids)?;
    let bytes = wrk::load(&Load {
        port: server.port,
        path: &question.path,
        headers: &question.headers,
        connections: case.connections,
        depth: case.depth,
    })?;
    let spent = account::cpu_nanoseconds(&pids)?.saturating_sub(before);
    if bytes < question.length as u64 {
        return Err("wrk got no reply".to_owned());
    }
    // Replies are counted by their bytes: at the end many large ones are on their way, and the server has
    // worked for those too.
    let replies = bytes as f64 / question.length as f64;
    Ok(spent as f64 / 1000.0 / replies)
}

/// Asks as wrk is going to, and makes sure that the reply is the right one.
fn ask_first(server: &Server, case: &Case, site: &Site) -> Result<Question, String> {
    let path = site.url(case.file)?;
    let expected = site.body(&path, case.coding)?;
    let mut connection = Connection::open(server.port)?;
    let accepted = case.coding.name().map(|name| ("accept-encoding", name.to_owned()));
    let mut headers: Headers = accepted.into_iter().collect();
    let reply = connection.get(&path, &headers)?;
    check(&reply, case.coding, &expected)?;
    if case.conditional {
        // The stronger validator where there are two, as a browser does.
        headers.push(match (reply.header("etag"), reply.header("last-modified")) {
            (Some(etag), _) => ("if-none-match", etag.to_owned()),
            (None, Some(date)) => ("if-modified-since", date.to_owned()),
            (None, None) => return Err("it sends no validator".to_owned()),
        });
    }
    connection.send(&path, &headers, case.depth)?;
    let mut length = 0;
    for _ in 0..case.depth {
        let reply = connection.receive()?;
        length = reply.length;
        if !case.conditional {
            check(&reply, case.coding, &expected)?;
        } else if reply.status != 304 {
            return Err(format!("it answers {} where 304 is due", reply.status));
        }
    }
    Ok(Question { path, headers, length })
}

fn check(reply: &Reply, coding: Coding, expected: &[u8]) -> Result<(), String> {
    if reply.status != 200 {
        return Err(format!("it answers {}", reply.status));
    }
    if reply.header("content-encoding") != coding.name() {
        let found = reply.header("content-encoding").unwrap_or("nothing");
        return Err(format!("its content-encoding is {found}"));
    }
    if reply.header("cache-control").is_none() {
        return Err("it sends no cache-control".to_owned());
    }
    if reply.body != expected {
        return Err("it sends other bytes".to_owned());
    }
    Ok(())
}
