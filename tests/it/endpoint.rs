//! An exporter with a web configuration of its own.

use std::path::{Path, PathBuf};
use std::process::Command;

use headcount_tests::certificates::Authority;
use headcount_tests::supervisor::Headcount;
use headcount_tests::{binary, peers};
use tempfile::TempDir;

/// By which certificate it is known to be this machine.
pub(crate) const TLS: &str = "tls_server_config:\n  cert_file: server.pem\n  key_file: server.key\n";

/// An endpoint with a configuration, and what it is made of.
pub(crate) struct Endpoint {
    pub(crate) folder: TempDir,
    pub(crate) authority: Authority,
    pub(crate) headcount: Headcount,
    /// What is served.
    pub(crate) directory: PathBuf,
}

/// What stands for a password in a configuration.
pub(crate) fn hash(password: &str) -> String {
    bcrypt::hash_with_result(password, 4).unwrap().to_string()
}

impl Endpoint {
    /// `config` stands in a folder with `server.pem` and `server.key` for this machine, and `ca.pem`.
    pub(crate) fn start(config: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let authority = Authority::new(folder.path(), "ca");
        authority.sign("server", &["127.0.0.1"]);
        let metrics = tempfile::tempdir_in(folder.path()).unwrap().keep();
        let path = folder.path().join("web.yml");
        std::fs::write(&path, config).unwrap();
        let arguments = ["serve", "--web.listen-address", "127.0.0.1:0", "--dir"];
        let arguments = arguments.map(Path::new).into_iter();
        let headcount = Headcount::start(arguments.chain([&*metrics, Path::new("--web.config.file"), &path]));
        Self { folder, authority, headcount, directory: metrics }
    }

    /// One that is closed to all but Anna, whose password is `secret`, if she comes with the certificate `client`.
    /// There is `other`, too, which is somebody else's.
    pub(crate) fn start_closed() -> Self {
        let endpoint = Self::start(&format!(
            "{TLS}  client_auth_type: RequireAndVerifyClientCert\n  client_ca_file: ca.pem\n  \
             client_allowed_sans: [scraper.example]\nbasic_auth_users:\n  anna: {}\n",
            hash("secret")
        ));
        endpoint.authority.sign("client", &["scraper.example"]);
        endpoint.authority.sign("other", &["other.example", "*.example"]);
        endpoint
    }

    /// What Prometheus has to be told of a job, so that Anna scrapes with a certificate and a password.
    pub(crate) fn lines_of_job(&self, certificate: &str, password: &str) -> String {
        let (ca, certificate) = (self.path("ca.pem"), self.path(certificate));
        format!(
            "    scheme: https\n    basic_auth: {{username: anna, password: {password}}}\n    tls_config:\n      \
             ca_file: {ca}\n      cert_file: {certificate}.pem\n      key_file: {certificate}.key\n"
        )
    }

    pub(crate) fn path(&self, name: &str) -> String {
        self.folder.path().join(name).display().to_string()
    }

    /// What Python is answered: the status and the page, or why there was none.
    pub(crate) fn get(&self, client: &str, credentials: &str) -> String {
        let output = Command::new(peers::python())
            .arg(binary::workspace().join("tests/python/https_get.py"))
            .arg(format!("https://{}/metrics", self.headcount.metrics()))
            .arg(&self.authority.certificate)
            .args([client, credentials])
            .output()
            .unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    }

    /// What a client that speaks HTTP/2 gets; the words say what it does.
    pub(crate) fn speak_http2(&self, words: &[&str]) -> String {
        let (what, more) = words.split_first().unwrap();
        let output = Command::new(peers::http2_python())
            .arg(binary::workspace().join("tests/python/http2.py"))
            .args([what, &*self.headcount.metrics()])
            .arg(&self.authority.certificate)
            .args(more)
            .output()
            .unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    }

    pub(crate) fn reconfigure(&self, config: &str) {
        std::fs::write(self.path("web.yml"), config).unwrap();
    }
}
