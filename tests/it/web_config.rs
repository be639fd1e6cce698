//! Who may connect, and how: the web configuration that Prometheus' exporters have in common.

use std::process::Command;

use headcount_tests::certificates::Authority;
use headcount_tests::prometheus::Prometheus;
use headcount_tests::{binary, http, peers, wait};

use crate::endpoint::{Endpoint, TLS, hash};
use crate::formats::write_small;

#[test]
fn only_the_right_password_with_the_right_certificate_is_let_in() {
    let endpoint = Endpoint::start_closed();
    write_small(&endpoint.directory);
    let target = endpoint.headcount.metrics();
    let job = |name, certificate, password| (name, &*target, endpoint.lines_of_job(certificate, password));
    let jobs =
        [job("right", "client", "secret"), job("wrong", "client", "guess"), job("other", "other", "secret")];
    let config = Prometheus::config_of(jobs);
    let check = |scraper: Prometheus| {
        scraper.wait_for("up{job=\"right\"}", 1.0);
        scraper.wait_for("up{job=\"wrong\"}", 0.0);
        scraper.wait_for("up{job=\"other\"}", 0.0);
    };
    check(Prometheus::start(&config));
    check(Prometheus::start_victoria(&peers::victoria(), &config, &[]));
    let anna = "anna:secret";
    assert!(endpoint.get(&endpoint.path("client.pem"), anna).starts_with("200 # HELP"));
    assert_eq!(endpoint.get(&endpoint.path("client.pem"), "").trim(), "401 Unauthorized");
    assert_eq!(endpoint.get(&endpoint.path("client.pem"), "anna:guess").trim(), "401 Unauthorized");
    for nobody in ["", &endpoint.path("other.pem")] {
        let answer = endpoint.get(nobody, anna);
        assert!(answer.starts_with("refused:"), "{answer}");
    }
    // A certificate that somebody else has signed.
    let stranger = Authority::new(&endpoint.folder.path().join("."), "stranger");
    let forged = stranger.sign("forged", &["scraper.example"]).display().to_string();
    let answer = endpoint.get(&forged, anna);
    assert!(answer.starts_with("refused:"), "{answer}");
}

#[test]
fn certificates_and_configurations_are_read_anew_and_a_wrong_one_lets_nobody_in() {
    let endpoint = Endpoint::start(TLS);
    assert!(endpoint.get("", "").starts_with("200 "));
    let speaks_plainly = http::get(&endpoint.headcount.metrics(), "/metrics").unwrap();
    assert_eq!((speaks_plainly.status, speaks_plainly.text()), (400, "This is an HTTPS server.\n"));
    // For another name: Python does not believe it any more.
    endpoint.authority.sign("server", &["elsewhere.example"]);
    wait::until_true("the certificate is another", || endpoint.get("", "").starts_with("refused:"));
    endpoint.authority.sign("server", &["127.0.0.1"]);
    wait::until_true("the certificate is right again", || endpoint.get("", "").starts_with("200 "));
    endpoint.reconfigure(&format!("{TLS}basic_auth_users:\n  anna: {}\n", hash("x")));
    wait::until_true("a password is asked for", || endpoint.get("", "").starts_with("401 "));
    // Not what was right before, and nothing at all.
    for wrong in ["tls_server_config:\n  cert_file: x\n", "nonsense: 1\n", "", "http_server_config:\n"] {
        endpoint.reconfigure(wrong);
        wait::until_true("nobody gets in", || endpoint.get("", "anna:x").starts_with("refused:"));
    }
    let said = endpoint.headcount.log();
    assert!(
        said.contains("nobody gets in until that is corrected") && said.contains("without a restart"),
        "{said}"
    );
    endpoint.reconfigure(TLS);
    wait::until_true("everybody gets in again", || endpoint.get("", "").starts_with("200 "));
}

#[test]
fn http2_is_spoken_with_those_who_do_unless_it_is_off() {
    let endpoint = Endpoint::start(TLS);
    let landing = endpoint.speak_http2(&["get", "/"]);
    let len = landing.strip_prefix("HTTP/2 200 ").unwrap().split_once(' ').unwrap().0.to_owned();
    assert_eq!(landing, format!("HTTP/2 200 {len} {len}"));
    assert_eq!(endpoint.speak_http2(&["head", "/"]), format!("HTTP/2 200 {len} 0"));
    assert!(endpoint.speak_http2(&["get", "/metrics"]).starts_with("HTTP/2 200 "));
    assert!(endpoint.speak_http2(&["get", "/nothing"]).starts_with("HTTP/2 404 "));
    endpoint.reconfigure(&format!("{TLS}http_server_config:\n  http2: false\n"));
    wait::until_true("HTTP/1.1 is left", || {
        endpoint.speak_http2(&["get", "/"]) == format!("HTTP/1.1 200 {len} {len}")
    });
}

#[test]
fn whoever_asks_for_too_much_at_once_by_http2_is_left_alone() {
    let endpoint = Endpoint::start(TLS);
    assert_eq!(endpoint.speak_http2(&["limits"]), "16 16384");
    assert_eq!(endpoint.speak_http2(&["impatient"]), "closed");
    let answer = endpoint.speak_http2(&["talkative"]);
    assert!(["431", "closed", "refused"].contains(&&*answer), "{answer}");
    assert!(endpoint.speak_http2(&["get", "/metrics"]).starts_with("HTTP/2 200 "));
}

#[test]
fn without_tls_there_are_still_passwords_headers_and_limits() {
    let users = format!("basic_auth_users:\n  anna: {}\n", hash("x"));
    let headers = "http_server_config:\n  headers:\n    X-Frame-Options: deny\n";
    let endpoint = Endpoint::start(&(users + headers));
    let get =
        |more: &[&str]| http::request(&endpoint.headcount.metrics(), "GET", "/-/healthy", more).unwrap();
    let refused = get(&[]);
    assert_eq!((refused.status, refused.header("www-authenticate")), (401, Some("Basic")));
    assert_eq!(refused.header("x-frame-options"), Some("deny"));
    let welcome = get(&["Authorization: Basic YW5uYTp4"]);
    assert_eq!((welcome.status, welcome.header("x-frame-options")), (200, Some("deny")));
    endpoint.reconfigure("rate_limit:\n  interval: 1h\n  burst: 2\n");
    wait::until_true("the limit is reached", || get(&[]).status == 429);
    endpoint.reconfigure("nonsense: 1\n");
    assert_eq!(get(&[]).status, 500);
    endpoint.reconfigure("");
    assert_eq!(get(&[]).status, 200);
}

#[test]
fn promtool_and_headcount_agree_on_what_is_right() {
    let folder = tempfile::tempdir().unwrap();
    let authority = Authority::new(folder.path(), "ca");
    authority.sign("server", &["127.0.0.1"]);
    authority.sign("another", &["127.0.0.1"]);
    let path = folder.path().join("web.yml");
    let accepts = |mut command: Command| {
        let output = command.output().unwrap();
        (output.status.success(), String::from_utf8(output.stderr).unwrap())
    };
    let ours = || {
        let mut command = Command::new(binary::headcount());
        command.args(["run", "--check", "--web.config.file"]).arg(&path).args(["--", "true"]);
        accepts(command)
    };
    let theirs = || {
        let mut command = Command::new(peers::promtool());
        command.args(["check", "web-config"]).arg(&path);
        accepts(command)
    };
    let users = format!("basic_auth_users:\n  anna: {}\n", hash("x"));
    let headers = |header: &str| format!("http_server_config:\n  headers:\n    {header}\n");
    for (config, expected) in [
        (String::new(), true),
        (TLS.to_owned(), true),
        (format!("{TLS}  min_version: TLS12\n  max_version: TLS13\n"), true),
        (format!("{TLS}  cipher_suites: [TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256]\n"), true),
        (
            format!("{TLS}  curve_preferences: [X25519, CurveP256]\n  prefer_server_cipher_suites: false\n"),
            true,
        ),
        (format!("{TLS}  client_auth_type: VerifyClientCertIfGiven\n  client_ca_file: ca.pem\n"), true),
        (format!("{TLS}  client_auth_type: NoClientCert\n"), true),
        (users.clone(), true),
        (headers("X-Content-Type-Options: nosniff"), true),
        (headers("Content-Security-Policy: default-src 'none'"), true),
        ("http_server_config:\n  http2: false\n".to_owned(), true),
        (headers("X-Content-Type-Options: sniff"), false),
        (headers("X-Powered-By: headcount"), false),
        ("http_server_config:\n  http3: true\n".to_owned(), false),
        (format!("{users}  anna: {}\n", hash("y")), false),
        (format!("{TLS}{TLS}"), false),
        (format!("{TLS}  min_version: TLS14\n"), false),
        (format!("{TLS}  cipher_suites: [TLS_NONSENSE]\n"), false),
        (format!("{TLS}  curve_preferences: [CurveP111]\n"), false),
        (format!("{TLS}  client_auth_type: Perhaps\n"), false),
        (format!("{TLS}  client_ca_file: ca.pem\n"), false),
        ("tls_server_config:\n  cert_file: server.pem\n".to_owned(), false),
        ("tls_server_config:\n  cert_file: server.pem\n  key_file: another.key\n".to_owned(), false),
        ("tls_server_config:\n  cert_file: web.yml\n  key_file: server.key\n".to_owned(), false),
        ("tls_server_config:\n  cert_file: nowhere.pem\n  key_file: server.key\n".to_owned(), false),
    ] {
        std::fs::write(&path, &config).unwrap();
        let ((ours, said), (theirs, they_said)) = (ours(), theirs());
        assert_eq!((ours, theirs), (expected, expected), "{config}{said}{they_said}");
    }
    // What rustls does not do, or what would check nothing, is never silently less than that.
    for (more, part) in [
        ("min_version: TLS10", "TLS10 is not secure"),
        ("curve_preferences: [CurveP521]", "there is no CurveP521"),
        ("cipher_suites: [TLS_RSA_WITH_AES_128_CBC_SHA]", "there is no TLS_RSA_WITH_AES_128_CBC_SHA"),
        ("client_auth_type: RequireAnyClientCert", "would check nothing"),
        ("client_auth_type: RequireAndVerifyClientCert", "needs a client_ca"),
    ] {
        std::fs::write(&path, format!("{TLS}  {more}\n")).unwrap();
        let (accepted, said) = ours();
        assert!(!accepted && said.contains(part), "{more}: {said}");
        assert!(theirs().0, "{more}");
    }
}
