//! One pass from raw OTLP requests to private blocks in ClickHouse's Native format.
//!
//! It does what the SQL of `clickhouse/transform` does, row by row, redacts usual texts (`redact`), and asks the same
//! functions of Python for the few other values that a pattern matches. Nothing here is written to a disk, and no error
//! holds what a client sent.
//! Requests in JSON are read here, too (`json`), and become protobuf before that.

mod ascii;
mod batch;
mod checks;
mod city;
mod columns;
mod digest;
mod json;
mod keys;
mod labels;
mod logs;
mod metrics;
mod pages;
mod redact;
mod rows;
mod rules;
mod search;
mod traces;
mod value;
mod wire;

use std::collections::{HashMap, HashSet};
use std::ffi::c_int;
use std::panic::{catch_unwind, AssertUnwindSafe};
use std::sync::Mutex;

use pyo3::exceptions::{PyBufferError, PyException, PyRuntimeError, PyValueError};
use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyList, PyString};

use batch::{Answer, Ask, Batch, Sizes, Worker};
use checks::Checks;
use digest::Digest;
use json::{Field, Kind, Limits, Message, Odd, Schema};
use labels::Label;
use logs::Logs;
use metrics::Metrics;
use redact::{Described as Pattern, Redactor};
use rows::{Block, Table};
use rules::{Rules, Treatment};
use search::Search;
use traces::Traces;
use wire::Malformed;

pyo3::create_exception!(telemetry_native, MalformedError, PyException, "The requests are no OTLP.");
pyo3::create_exception!(telemetry_native, TooLargeError, PyException, "The rows would need too much memory.");

/// Why a group of requests does not become rows.
pub enum Failure {
    Malformed,
    TooLarge,
    Python(PyErr),
}

impl From<Malformed> for Failure {
    fn from(_: Malformed) -> Self {
        Failure::Malformed
    }
}

impl From<PyErr> for Failure {
    fn from(error: PyErr) -> Self {
        Failure::Python(error)
    }
}

impl From<Failure> for PyErr {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Malformed => MalformedError::new_err("malformed"),
            Failure::TooLarge => TooLargeError::new_err("too large"),
            Failure::Python(error) => error,
        }
    }
}

/// A time in nanoseconds since 1970. One after 2262, which DateTime64(9) cannot hold, becomes its last moment.
pub(crate) fn nanoseconds(time: u64) -> i64 {
    i64::try_from(time).unwrap_or(i64::MAX)
}

fn run<'a, T: Table<'a>>(
    py: Python<'_>,
    rules: &Rules,
    worker: &mut Worker,
    requests: &[&'a [u8]],
    oldest: i64,
    finish: &Bound<'_, PyAny>,
    mut table: T,
) -> Result<Block, Failure> {
    let sent: usize = requests.iter().map(|request| request.len()).sum();
    let mut batch = Batch::new(rules, worker, sent);
    py.detach(|| requests.iter().try_for_each(|request| table.read(&mut batch, request, oldest)))?;
    if !batch.asks.is_empty() {
        batch.answers = answers(py, &batch.asks, finish)?;
    }
    py.detach(|| {
        batch.settle()?;
        let capacity = batch.worker.sizes.of(sent).block.min(columns::MOST_BYTES);
        let block = table.write(&mut batch, capacity)?;
        batch.worker.sizes =
            Sizes { sent, entries: batch.entries.len(), made: batch.made.len(), block: block.data.len() };
        Ok(block)
    })
}

/// Ask Python: a list of a function's name, a key and a text each.
fn answers(py: Python<'_>, asks: &[Ask<'_>], finish: &Bound<'_, PyAny>) -> Result<Vec<Answer>, Failure> {
    let questions = PyList::empty(py);
    let none = PyString::new(py, "");
    for ask in asks {
        questions.append(match ask {
            Ask::Redact(text) => ("redact", none.clone(), readable(py, text)?),
            Ask::Text(key, text) => ("text", readable(py, key)?, readable(py, text)?),
            Ask::Key(pair) => ("key", none.clone(), hex(py, &[pair])),
            Ask::Number(key, text) => ("number", readable(py, key)?, readable(py, text)?),
            Ask::Value(pair) => ("value", none.clone(), hex(py, &[pair])),
            Ask::Body(body) => ("body", none.clone(), hex(py, &[body])),
            Ask::Extract(pairs) => ("extract", none.clone(), hex(py, pairs)),
        })?;
    }
    let made = finish.call1((questions,))?;
    let made = made.cast::<PyList>().map_err(PyErr::from)?;
    if made.len() != asks.len() {
        return Err(PyValueError::new_err("an answer is missing").into());
    }
    made.iter()
        .map(|answer| {
            Ok(match answer.cast::<PyString>() {
                Ok(text) => Answer { text: text.to_cow()?.as_bytes().to_vec(), labels: Vec::new() },
                Err(_) => Answer { text: Vec::new(), labels: labels(&answer)? },
            })
        })
        .collect()
}

fn labels(answer: &Bound<'_, PyAny>) -> PyResult<Vec<(Vec<u8>, Vec<u8>)>> {
    let pairs: Vec<(String, String)> = answer.extract()?;
    Ok(pairs.into_iter().map(|(key, text)| (key.into_bytes(), text.into_bytes())).collect())
}

/// A text for Python. Every text here was found to be UTF-8.
fn readable<'py>(py: Python<'py>, text: &[u8]) -> Result<Bound<'py, PyString>, Failure> {
    Ok(PyString::new(py, std::str::from_utf8(text).map_err(|_| Failure::Malformed)?))
}

fn hex<'py>(py: Python<'py>, several: &[&[u8]]) -> Bound<'py, PyString> {
    let mut out = Vec::new();
    for (index, data) in several.iter().enumerate() {
        if index > 0 {
            out.push(b' ');
        }
        digest::put_hex(&mut out, data);
    }
    PyString::new(py, std::str::from_utf8(&out).unwrap_or_default())
}

/// Bytes that Python reads where they are.
#[pyclass(frozen, module = "telemetry_native")]
struct Bytes(Vec<u8>);

#[pymethods]
impl Bytes {
    unsafe fn __getbuffer__(slf: Bound<'_, Self>, view: *mut ffi::Py_buffer, flags: c_int) -> PyResult<()> {
        if view.is_null() {
            return Err(PyBufferError::new_err("no view"));
        }
        let data = &slf.get().0;
        // SAFETY: the object is frozen and the view keeps it alive, so its bytes neither move nor change.
        let made = unsafe {
            ffi::PyBuffer_FillInfo(
                view,
                slf.as_ptr(),
                data.as_ptr().cast_mut().cast(),
                data.len().try_into()?,
                1,
                flags,
            )
        };
        if made == 0 {
            Ok(())
        } else {
            Err(PyErr::fetch(slf.py()))
        }
    }

    fn __len__(&self) -> usize {
        self.0.len()
    }
}

/// The patterns, in their order; what a text holds that is folded; words and expressions of the checks, by their names.
type Redaction = (Vec<Pattern>, Vec<String>, HashMap<String, Vec<Vec<u8>>>, HashMap<String, String>);

/// The pass under one set of rules, for any thread.
#[pyclass(frozen, module = "telemetry_native")]
struct Pass {
    rules: Rules,
    idle: Mutex<Vec<Worker>>,
}

#[pymethods]
impl Pass {
    /// `treatments` are numbers by key, `hash_key` the inner and the outer key of HMAC-SHA256, 64 bytes each, or empty.
    /// `labels` are by key the fields that are kept of a JSON object, and whether each is a command. `patterns` are
    /// sought in every text; `redaction` is how those that are found are redacted. Raises ValueError with a pattern that
    /// is not understood.
    #[new]
    fn new(
        patterns: Vec<String>,
        treatments: HashMap<String, u8>,
        drop_keys: HashSet<String>,
        labels: HashMap<String, Vec<(String, bool)>>,
        hash_key: Vec<u8>,
        excerpt_length: usize,
        redaction: Redaction,
    ) -> PyResult<Self> {
        let search = Search::new(&patterns).map_err(PyValueError::new_err)?;
        let (patterns, folds, words, expressions) = redaction;
        let redactor = Checks::new(words, &expressions)
            .and_then(|checks| Redactor::new(&patterns, &folds, checks))
            .map_err(PyValueError::new_err)?;
        let treatments = treatments
            .into_iter()
            .map(|(key, number)| {
                let treatment = Treatment::of(number).ok_or_else(|| PyValueError::new_err("no treatment"))?;
                Ok((key.into_bytes(), treatment))
            })
            .collect::<PyResult<_>>()?;
        let drop_keys = drop_keys.into_iter().map(String::into_bytes).collect();
        let labels = labels
            .into_iter()
            .map(|(key, fields)| {
                let label = |(field, is_command)| Label {
                    name: format!("{key}.{field}").into_bytes(),
                    field: String::into_bytes(field),
                    is_command,
                };
                let labels = fields.into_iter().map(label).collect();
                (key.into_bytes(), labels)
            })
            .collect();
        let digest = Digest::new(&hash_key);
        let rules = Rules { treatments, drop_keys, labels, search, redactor, digest, excerpt_length };
        Ok(Pass { rules, idle: Mutex::new(Vec::new()) })
    }

    /// Turn requests into rows: the block, the number of its rows, the hashes of their contents and identities as
    /// bytes, how many rows are past retention and how many spans end before they start, and how often each pattern was
    /// redacted here, in their order.
    ///
    /// `finish` answers a list of questions: a function's name, a key and a text each.
    #[allow(clippy::type_complexity)]
    fn run<'py>(
        &self,
        py: Python<'py>,
        table: &str,
        requests: Vec<Bound<'py, PyBytes>>,
        oldest: i64,
        finish: Bound<'py, PyAny>,
    ) -> PyResult<(Py<Bytes>, usize, Bound<'py, PyBytes>, Bound<'py, PyBytes>, u64, u64, Vec<u64>)> {
        let bodies: Vec<&[u8]> = requests.iter().map(|request| request.as_bytes()).collect();
        let mut worker = self.worker();
        let rules = &self.rules;
        let made = catch_unwind(AssertUnwindSafe(|| match table {
            "otel_traces" => run(py, rules, &mut worker, &bodies, oldest, &finish, Traces::default()),
            "otel_logs" => run(py, rules, &mut worker, &bodies, oldest, &finish, Logs::default()),
            _ => match Metrics::of(table) {
                Some(metrics) => run(py, rules, &mut worker, &bodies, oldest, &finish, metrics),
                None => Err(PyValueError::new_err("there is no such table").into()),
            },
        }));
        // A panic is a fault of ours; as it is, it would be no Exception to Python.
        let block = made.map_err(|_| PyRuntimeError::new_err("the native pass failed"))??;
        let redactions = worker.memory.counts.clone();
        self.rest(worker);
        Ok((
            Py::new(py, Bytes(block.data))?,
            block.rows,
            numbers(py, &block.contents),
            numbers(py, &block.identities),
            block.past_retention,
            block.ends_before_start,
            redactions,
        ))
    }

    /// Redact one text behind its key and `=`, or nothing, as a batch of it alone: the text and how often each pattern
    /// was redacted, or None where Python is asked.
    fn redact<'py>(
        &self,
        py: Python<'py>,
        prefix: &[u8],
        text: &[u8],
    ) -> Option<(Bound<'py, PyBytes>, Vec<u64>)> {
        let mut worker = self.worker();
        worker.memory.begin();
        let made = self.rules.redactor.redact(&mut worker.memory, prefix, text);
        let counts = worker.memory.counts.clone();
        self.rest(worker);
        made.map(|text| (PyBytes::new(py, &text), counts))
    }
}

impl Pass {
    fn worker(&self) -> Worker {
        let taken = self.idle.lock().map_or(None, |mut idle| idle.pop());
        taken.unwrap_or_else(|| Worker::new(&self.rules))
    }

    fn rest(&self, worker: Worker) {
        if let Ok(mut idle) = self.idle.lock() {
            idle.push(worker);
        }
    }
}

/// A field of a message in JSON: its name, number, type and the message that it is, whether it is repeated, has presence
/// and holds records, and its oneof, counted from 1.
type Described = (String, u64, u8, usize, bool, bool, bool, u8);

/// The reader of requests in JSON, for any thread.
#[pyclass(frozen, module = "telemetry_native")]
struct Json(Schema);

#[pymethods]
impl Json {
    /// `messages` are the types of messages: whether each is a record, and its fields. Raises ValueError.
    #[new]
    fn new(messages: Vec<(bool, Vec<Described>)>) -> PyResult<Self> {
        let count = messages.len();
        let field =
            |(name, number, kind, below, is_repeated, has_presence, holds_records, oneof): Described| {
                let kind = Kind::of(kind, below).filter(|_| below < count);
                Ok(Field {
                    name: name.into_bytes(),
                    number,
                    kind: kind.ok_or_else(|| PyValueError::new_err("no such type"))?,
                    is_repeated,
                    has_presence,
                    oneof: if oneof == 0 { 0 } else { 1 << oneof },
                    holds_records,
                })
            };
        let message = |(is_record, fields): (bool, Vec<Described>)| {
            if fields.len() > 64 || fields.iter().any(|field| field.7 > 63) {
                return Err(PyValueError::new_err("too many fields"));
            }
            Ok(Message { is_record, fields: fields.into_iter().map(field).collect::<PyResult<_>>()? })
        };
        Ok(Json(Schema(messages.into_iter().map(message).collect::<PyResult<_>>()?)))
    }

    /// Return a request in protobuf and the number of its records; None when it is not one that is read here.
    ///
    /// `request` is the place of its type, `held` the most records and messages that hold some, and `items` the most
    /// items of another array.
    fn translate<'py>(
        &self,
        py: Python<'py>,
        request: usize,
        text: &[u8],
        held: usize,
        items: usize,
    ) -> PyResult<Option<(Bound<'py, PyBytes>, usize)>> {
        if request >= self.0 .0.len() {
            return Err(PyValueError::new_err("no such request"));
        }
        let work = || {
            catch_unwind(AssertUnwindSafe(|| json::translate(&self.0, request, text, Limits { held, items })))
        };
        // To give up Python's lock for a small request costs more than reading it.
        let made = if text.len() > LONG_TEXT { py.detach(work) } else { work() };
        match made.map_err(|_| PyRuntimeError::new_err("the native reader of JSON failed"))? {
            Ok((body, records)) => Ok(Some((PyBytes::new(py, &body), records))),
            Err(Odd) => Ok(None),
        }
    }
}

const LONG_TEXT: usize = 64 << 10;

fn numbers<'py>(py: Python<'py>, hashes: &[u64]) -> Bound<'py, PyBytes> {
    let bytes: Vec<u8> = hashes.iter().flat_map(|hash| hash.to_le_bytes()).collect();
    PyBytes::new(py, &bytes)
}

#[pymodule]
fn telemetry_native(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add("VERSION", env!("CARGO_PKG_VERSION"))?;
    module.add("MOST_BYTES", redact::MOST_BYTES)?;
    module.add("MOST_MATCHES", redact::MOST_MATCHES)?;
    module.add("MAX_PASSES", redact::MAX_PASSES)?;
    module.add_class::<Pass>()?;
    module.add_class::<Json>()?;
    module.add("MalformedError", module.py().get_type::<MalformedError>())?;
    module.add("TooLargeError", module.py().get_type::<TooLargeError>())?;
    Ok(())
}
