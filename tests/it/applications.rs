//! Examples of whole applications, in what they are usually written with, do what their pages say.

use std::process::{Child, Command};

use headcount_tests::supervisor::Headcount;
use headcount_tests::{binary, http, peers, text, wait};

#[test]
fn an_actix_server_counts_in_all_its_processes() {
    let directory = tempfile::tempdir().unwrap();
    let program = binary::example("prefork-actix");
    let mut headcount = Headcount::run(2, directory.path(), &[], &[program.to_str().unwrap()]);
    let server = headcount.server();
    for n in 0..20 {
        assert_eq!(http::get(&server, &format!("/hello/{n}")).unwrap().text(), format!("Hello, {n}.\n"));
    }
    assert_eq!(http::get(&server, "/nowhere").unwrap().status, 404);
    let requests = |route: &str, status: &str| {
        let labels = format!("{{method=\"GET\",route=\"{route}\",status=\"{status}\"}}");
        headcount.value(&format!("http_requests_total{labels}"))
    };
    wait::until_true("all requests are over", || {
        requests("/hello/{name}", "200") == Some(20.0) && requests("unmatched", "404") == Some(1.0)
    });
    assert!(headcount.stop().success());
}

#[test]
fn a_service_of_tonics_counts_the_statuses_of_grpc() {
    let directory = tempfile::tempdir().unwrap();
    let program = binary::example("grpc");
    let mut headcount = Headcount::run(2, directory.path(), &[], &[program.to_str().unwrap()]);
    let call = |name: &str| {
        let output = Command::new(&program).args(["client", &headcount.server(), name]).output().unwrap();
        String::from_utf8(output.stdout).unwrap()
    };
    assert_eq!((call("world"), call("Ada")), ("Hello, world.\n".to_owned(), "Hello, Ada.\n".to_owned()));
    assert_eq!(call(""), "InvalidArgument: nobody is to be greeted\n");
    let route = "route=\"/greet.Greeter/Greet\"";
    wait::until_true("all calls are over", || {
        headcount.value(&format!("http_requests_total{{method=\"POST\",{route},status=\"200\"}}"))
            == Some(3.0)
    });
    let answers =
        |status: u8| headcount.value(&format!("grpc_responses_total{{grpc_status=\"{status}\",{route}}}"));
    assert_eq!((answers(0), answers(3), answers(2)), (Some(2.0), Some(1.0), None));
    assert!(headcount.stop().success());
}

/// What the page of the background jobs shows.
fn check_jobs(scraped: &str) {
    let page = std::fs::read_to_string(binary::workspace().join("examples/jobs/README.md")).unwrap();
    let shown = page.rsplit_once("```\n").unwrap().0.rsplit_once("```\n").unwrap().1;
    assert_eq!(shown.lines().count(), 5, "{page}");
    for line in shown.lines() {
        assert!(scraped.lines().any(|scraped| scraped == line), "{line}: {scraped}");
    }
}

#[test]
fn background_jobs_are_counted_by_name_and_outcome() {
    let directory = tempfile::tempdir().unwrap();
    let program = binary::example("background-jobs");
    let mut headcount = Headcount::run(1, directory.path(), &[], &[program.to_str().unwrap()]);
    wait::until_true("all jobs are done", || {
        headcount.value("queue_wait_seconds_count{target=\"mails\"}") == Some(6.0)
            && headcount.value("tasks_in_flight{task=\"welcome\"}") == Some(0.0)
    });
    check_jobs(&headcount.scrape());
    assert!(headcount.stop().success());
}

/// A program beside the server, which is over with the test, however that ends.
struct Beside(Child);

impl Drop for Beside {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Runs one of the applications in Python beside the background jobs.
fn check_python(application: &str, requests: &str) {
    let directory = tempfile::tempdir().unwrap();
    let application = binary::workspace().join("examples/python").join(application);
    let command = [peers::instrumented_python(), application];
    let command = command.each_ref().map(|part| part.to_str().unwrap());
    let options = ["--env", "PYTHONDONTWRITEBYTECODE=1"];
    let mut headcount = Headcount::run(2, directory.path(), &options, &command);
    let mut jobs = Command::new(binary::example("background-jobs"));
    let jobs = Beside(jobs.env("PROMETHEUS_MULTIPROC_DIR", directory.path()).spawn().unwrap());
    let server = headcount.server();
    for _ in 0..20 {
        assert_eq!(http::get(&server, "/users/ada").unwrap().text(), "Hello, ada.\n");
    }
    wait::until_true("all jobs are done", || {
        headcount.value("task_duration_seconds_count{outcome=\"error\",task=\"welcome\"}") == Some(1.0)
    });
    let scraped = headcount.scrape();
    drop(jobs);
    assert_eq!(text::value(&scraped, requests), Some(20.0), "{scraped}");
    check_jobs(&scraped);
    assert!(headcount.stop().success());
}

#[test]
fn a_flask_application_counts_beside_a_program_in_rust() {
    check_python("flask_app.py", "flask_http_request_total{method=\"GET\",status=\"200\"}");
}

#[test]
fn a_fastapi_application_counts_beside_a_program_in_rust() {
    let labels = "{handler=\"/users/{name}\",method=\"GET\",status=\"2xx\"}";
    check_python("fastapi_app.py", &format!("http_requests_total{labels}"));
}
