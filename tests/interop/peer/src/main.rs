//! dkim2-peer: sign and verify DKIM2 messages with the mail-auth crate
//! (draft-ietf-dkim-dkim2-spec-08), with keys from a local file and the time
//! from a flag. `dkim2-peer help` lists the commands.

mod clock;
mod dns;
mod keys;

use dns::FileDns;
use mail_auth::crypto::SigningKey;
use mail_auth::dkim2::{
    ChainBinding, Dkim2Dsn, Dkim2Hash, Dkim2Signed, Dkim2Signer, Envelope, Flag, Hop, Recipe,
    Signature,
};
use mail_auth::hickory_resolver::config::{ResolverConfig, ResolverOpts};
use mail_auth::{
    AuthenticatedMessage, Dkim2Output, Dkim2Result, MessageAuthenticator, Parameters,
};
use serde_json::{Value, json};
use std::io::{Read, Write};

const HELP: &str = "\
dkim2-peer sign --domain D --selector S --key FILE [--algo NAME] < message > signed
    [--key2 FILE --selector2 S2 [--join and|or]]   second signature (default: and)
    --mail-from A --rcpt-to B [--rcpt-to C ...] | --next-domain ND
    [--exploded] [--flags f1,f2] [--nonce N] [--hash sha256,sha512] [--timestamp T]
    [--original FILE | --recipe JSONFILE]          message was changed: recipes
    [--proof-dns FILE]    verify what came in first (else out-of-band arrangement)
dkim2-peer verify --mail-from A --rcpt-to B ... --dns FILE [--time T] < message
dkim2-peer dsn-verify --mail-from '<>' --rcpt-to B --dns FILE [--time T] < dsn
dkim2-peer keygen rsa2048|rsa1024|ed25519|mldsa44    PEM, then the key record
exit: 0 pass  1 fail  2 permerror  3 temperror  4 none  64 usage  70 cannot do";

pub type Res<T> = Result<T, String>;

pub struct Args {
    pairs: Vec<(String, String)>,
    pub words: Vec<String>,
}

impl Args {
    fn parse(input: impl Iterator<Item = String>) -> Res<Self> {
        let mut args = Args { pairs: Vec::new(), words: Vec::new() };
        let mut input = input.peekable();
        while let Some(word) = input.next() {
            if let Some(name) = word.strip_prefix("--") {
                if name == "exploded" {
                    args.pairs.push((name.into(), "1".into()));
                } else if let Some((name, value)) = name.split_once('=') {
                    args.pairs.push((name.into(), value.into()));
                } else {
                    let value = input.next().ok_or(format!("--{name} needs a value"))?;
                    args.pairs.push((name.into(), value));
                }
            } else {
                args.words.push(word);
            }
        }
        Ok(args)
    }
    pub fn all(&self, name: &str) -> Vec<&str> {
        self.pairs.iter().filter(|(n, _)| n == name).map(|(_, v)| v.as_str()).collect()
    }
    pub fn get(&self, name: &str) -> Option<&str> {
        self.all(name).last().copied()
    }
    fn need(&self, name: &str) -> Res<&str> {
        self.get(name).ok_or(format!("--{name} is required"))
    }
}

pub fn authenticator() -> Res<MessageAuthenticator> {
    MessageAuthenticator::new(ResolverConfig::default(), ResolverOpts::default())
        .map_err(|e| e.to_string())
}

fn stdin() -> Res<Vec<u8>> {
    let mut data = Vec::new();
    std::io::stdin().read_to_end(&mut data).map_err(|e| e.to_string())?;
    Ok(data)
}

fn result_name(result: &Dkim2Result) -> (&'static str, i32) {
    match result {
        Dkim2Result::Pass => ("pass", 0),
        Dkim2Result::Fail(_) => ("fail", 1),
        Dkim2Result::PermError(_) => ("permerror", 2),
        Dkim2Result::TempError(_) => ("temperror", 3),
        Dkim2Result::None => ("none", 4),
    }
}

fn error_json(output: &Dkim2Output<'_>) -> Value {
    output.error().map_or(Value::Null, |e| Value::String(e.to_string()))
}

fn error_kind(output: &Dkim2Output<'_>) -> Value {
    output.error().map_or(Value::Null, |e| Value::String(format!("{e:?}")))
}

fn signature_json(signature: &Signature, result: Value) -> Value {
    let (mf, rt, nd) = match &signature.chain {
        ChainBinding::Envelope { mail_from, rcpt_to } => (json!(mail_from), json!(rcpt_to), Value::Null),
        ChainBinding::NextDomain(domain) => (Value::Null, Value::Null, json!(domain)),
    };
    json!({
        "i": signature.i, "m": signature.m, "t": signature.t, "d": signature.d,
        "mf": mf, "rt": rt, "nd": nd, "n": signature.n,
        "f": signature.flags.iter()
            .map(|f| String::from_utf8_lossy(f.as_bytes()).into_owned()).collect::<Vec<_>>(),
        "s": signature.s.iter()
            .map(|s| json!({"selector": s.selector, "algorithm": s.a.as_str(), "group": s.group}))
            .collect::<Vec<_>>(),
        "result": result,
    })
}

fn verify(args: &Args) -> Res<i32> {
    if let Some(time) = args.get("time") {
        clock::set(time.parse().map_err(|_| "bad --time")?);
    }
    let dns = FileDns::load(args.need("dns")?)?;
    let auth = authenticator()?;
    let raw = stdin()?;
    let mail_from = args.need("mail-from")?;
    let rcpt_to = args.all("rcpt-to");
    let Some(message) = AuthenticatedMessage::parse(&raw) else {
        println!("{}", json!({"result": "permerror", "error": "message could not be parsed"}));
        return Ok(2);
    };
    let envelope = || Envelope::new(mail_from, rcpt_to.iter().copied());
    let full = block_on(
        auth.verify_dkim2(Parameters::new(&message).with_cache(&dns), envelope()),
    );
    let provisional = block_on(
        auth.verify_dkim2_provisionally(Parameters::new(&message).with_cache(&dns), envelope()),
    );
    let (name, code) = result_name(full.result());
    let (provisional_name, _) = result_name(provisional.result());
    // the crate names only the first failure; a hop's own result is known
    // only when the whole chain passed
    let signatures: Vec<Value> = message
        .dkim2_signatures()
        .iter()
        .map(|h| signature_json(&h.header, if code == 0 { json!("pass") } else { Value::Null }))
        .collect();
    println!(
        "{}",
        json!({
            "result": name,
            "error": error_json(&full),
            "kind": error_kind(&full),
            "fully_verified": code == 0,
            "provisionally_verified": provisional_name == "pass",
            "provisional_result": provisional_name,
            "provisional_error": error_json(&provisional),
            "signatures": signatures,
            "instances": message.dkim2_instances().iter().map(|h| h.header.m).collect::<Vec<_>>(),
            "parse_errors": message.errors().iter().map(|h| format!("{}: {}",
                String::from_utf8_lossy(h.name), h.header)).collect::<Vec<_>>(),
            "feedback_domains": full.feedback_domains().collect::<Vec<_>>(),
        })
    );
    Ok(code)
}

fn dsn_verify(args: &Args) -> Res<i32> {
    if let Some(time) = args.get("time") {
        clock::set(time.parse().map_err(|_| "bad --time")?);
    }
    let dns = FileDns::load(args.need("dns")?)?;
    let auth = authenticator()?;
    let raw = stdin()?;
    let rcpt_to = args.all("rcpt-to");
    let report = |ok: bool, text: String| {
        println!("{}", json!({"result": if ok {"pass"} else {"fail"}, "error": if ok {Value::Null} else {json!(text)}}));
    };
    let dsn = match Dkim2Dsn::parse(&raw) {
        Ok(dsn) => dsn,
        Err(failure) => {
            report(false, failure.to_string());
            return Ok(2);
        }
    };
    let envelope = Envelope::new(args.get("mail-from").unwrap_or("<>"), rcpt_to);
    match block_on(auth.verify_dkim2_dsn(Parameters::new(&dsn).with_cache(&dns), envelope)) {
        Ok(_) => {
            report(true, String::new());
            Ok(0)
        }
        Err(failure) => {
            report(false, failure.to_string());
            Ok(1)
        }
    }
}

fn sign(args: &Args) -> Res<i32> {
    if let Some(time) = args.get("timestamp") {
        clock::set(time.parse().map_err(|_| "bad --timestamp")?);
    }
    let raw = stdin()?;
    let key = keys::load_file(args.need("key")?)?;
    if let Some(algo) = args.get("algo") {
        let actual = key.algorithm().name();
        if algo != actual {
            return Err(format!("key is {actual}, not {algo}"));
        }
    }
    let mut signer = Dkim2Signer::from_key(key)
        .domain(args.need("domain")?)
        .selector(args.need("selector")?);
    if let Some(path) = args.get("key2") {
        let key2 = keys::load_file(path)?;
        let selector2 = args.need("selector2")?;
        signer = if args.get("join") == Some("or") {
            signer.additional_key(key2, selector2)
        } else {
            signer.hybrid_key(key2, selector2)
        };
    }
    if let Some(flags) = args.get("flags") {
        signer = signer.flags(flags.split(',').filter(|f| !f.is_empty()).map(Flag::parse));
    }
    if let Some(nonce) = args.get("nonce") {
        signer = signer.nonce(nonce);
    }
    if let Some(hashes) = args.get("hash") {
        signer = signer.hashes(hashes.split(',').filter_map(|h| Dkim2Hash::parse(h.as_bytes())));
    }
    let original = match args.get("original") {
        Some(path) => Some(std::fs::read(path).map_err(|e| format!("{path}: {e}"))?),
        None => None,
    };

    // a proof that what came in is fully verified, or the declaration that none is needed
    let dns;
    let auth;
    let incoming;
    let mut proof = None;
    if let Some(path) = args.get("proof-dns") {
        dns = FileDns::load(path)?;
        auth = authenticator()?;
        incoming = AuthenticatedMessage::parse(original.as_deref().unwrap_or(&raw))
            .ok_or("message could not be parsed")?;
        if let Some(top) = incoming.dkim2_signatures().last() {
            let (mf, rt) = match &top.header.chain {
                ChainBinding::Envelope { mail_from, rcpt_to } => (mail_from.clone(), rcpt_to.clone()),
                ChainBinding::NextDomain(_) => (String::new(), Vec::new()),
            };
            proof = Some(block_on(auth.verify_dkim2(
                Parameters::new(&incoming).with_cache(&dns),
                Envelope::new(mf, rt),
            )));
        }
    } else {
        signer = signer.out_of_band_arrangement();
    }

    let rcpt_to = args.all("rcpt-to");
    let signed = if let Some(domain) = args.get("next-domain") {
        run(&signer, &raw, original.as_deref(), args, Hop::imaginary(domain), proof.as_ref())?
    } else {
        let hop = Hop::real(args.need("mail-from")?, rcpt_to);
        let hop = if args.get("exploded").is_some() { hop.exploded() } else { hop };
        run(&signer, &raw, original.as_deref(), args, hop, proof.as_ref())?
    };

    let mut out = Vec::with_capacity(raw.len() + 2048);
    signed.write(&mut out);
    out.extend_from_slice(&raw);
    std::io::stdout().write_all(&out).map_err(|e| e.to_string())?;
    Ok(0)
}

fn run<A, R, I>(
    signer: &Dkim2Signer<mail_auth::signer::Ready>,
    raw: &[u8],
    original: Option<&[u8]>,
    args: &Args,
    hop: Hop<A, R, I>,
    proof: Option<&Dkim2Output<'_>>,
) -> Res<Dkim2Signed>
where
    A: AsRef<str>,
    R: IntoIterator<Item: AsRef<str>>,
    I: Into<String>,
{
    if let Some(original) = original {
        signer.sign_revised(original, raw, hop, proof)
    } else if let Some(path) = args.get("recipe") {
        let json = std::fs::read(path).map_err(|e| format!("{path}: {e}"))?;
        let recipe = Recipe::from_json(&json).map_err(|e| e.to_string())?;
        signer.sign_with_recipe(raw, recipe, hop, proof)
    } else {
        signer.sign(raw, hop, proof)
    }
    .map_err(|e| format!("{e}"))
}

#[cfg(feature = "pure")]
fn keygen(args: &Args) -> Res<i32> {
    use mail_auth::dkim::generate::DkimKeyPair;
    let kind = args.words.first().map(String::as_str).unwrap_or("");
    let (pair, k, label) = match kind {
        "rsa1024" => (DkimKeyPair::generate_rsa(1024), "rsa", "RSA PRIVATE KEY"),
        "rsa2048" => (DkimKeyPair::generate_rsa(2048), "rsa", "RSA PRIVATE KEY"),
        "ed25519" => (DkimKeyPair::generate_ed25519(), "ed25519", "PRIVATE KEY"),
        "mldsa44" => (DkimKeyPair::generate_mldsa44(), "mldsa44", "PRIVATE KEY"),
        _ => return Err("keygen: which kind?".into()),
    };
    let pair = pair.map_err(|e| e.to_string())?;
    let text = base64(pair.private_key());
    println!("-----BEGIN {label}-----");
    for line in text.as_bytes().chunks(64) {
        println!("{}", String::from_utf8_lossy(line));
    }
    println!("-----END {label}-----");
    println!("v=DKIM1; k={k}; p={}", pair.encoded_public_key());
    Ok(0)
}

#[cfg(not(feature = "pure"))]
fn keygen(_: &Args) -> Res<i32> {
    Err("keygen: only in the default build".into())
}

#[cfg(feature = "pure")]
fn base64(data: &[u8]) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut out = String::new();
    for chunk in data.chunks(3) {
        let n = (u32::from(chunk[0]) << 16)
            | (u32::from(*chunk.get(1).unwrap_or(&0)) << 8)
            | u32::from(*chunk.get(2).unwrap_or(&0));
        for pos in 0..4 {
            if pos <= chunk.len() {
                out.push(ALPHABET[(n >> (18 - 6 * pos)) as usize & 63] as char);
            } else {
                out.push('=');
            }
        }
    }
    out
}

/// Every answer comes from the table, so nothing here ever waits.
pub fn block_on<F: Future>(future: F) -> F::Output {
    let mut future = std::pin::pin!(future);
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    match future.as_mut().poll(&mut context) {
        std::task::Poll::Ready(output) => output,
        std::task::Poll::Pending => panic!("a look-up left the local table"),
    }
}

fn main() {
    let mut input = std::env::args().skip(1);
    let command = input.next().unwrap_or_default();
    // the resolver's constructor wants a runtime around, though it is never asked
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("runtime");
    let _guard = runtime.enter();
    let outcome = Args::parse(input).and_then(|args| match command.as_str() {
        "sign" => sign(&args),
        "verify" => verify(&args),
        "dsn-verify" => dsn_verify(&args),
        "keygen" => keygen(&args),
        "help" | "--help" | "-h" => {
            println!("{HELP}");
            Ok(0)
        }
        _ => {
            eprintln!("{HELP}");
            Ok(64)
        }
    });
    std::process::exit(outcome.unwrap_or_else(|error| {
        eprintln!("dkim2-peer: {error}");
        70
    }));
}
