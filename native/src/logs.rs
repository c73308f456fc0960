//! The rows of `otel_logs`, as `clickhouse/transform/otel_logs.sql` describes them.

use crate::batch::{Batch, Text};
use crate::city;
use crate::columns::{write, Column, TIME};
use crate::nanoseconds;
use crate::rows::{city_of_map, read_resource, read_scope, services, Block, Scope, Table};
use crate::wire::{Field, Malformed, Message};
use crate::Failure;

#[derive(Default)]
pub struct Logs<'a> {
    resource: u32,
    resource_url: &'a [u8],
    scope: Scope<'a>,
    scope_map: u32,
    pairs: Vec<&'a [u8]>,
    pieces: Vec<&'a [u8]>,
    rows: usize,
    past: u64,

    times: Vec<u8>,
    trace_ids: Vec<u8>,
    span_ids: Vec<u8>,
    flags: Vec<u8>,
    severity_texts: Vec<Text<'a>>,
    severities: Vec<u8>,
    bodies: Vec<Text<'a>>,
    resource_urls: Vec<Text<'a>>,
    resources: Vec<u32>,
    scope_urls: Vec<Text<'a>>,
    scope_names: Vec<Text<'a>>,
    scope_versions: Vec<Text<'a>>,
    scopes: Vec<u32>,
    attributes: Vec<u32>,
    event_names: Vec<Text<'a>>,
}

impl<'a> Table<'a> for Logs<'a> {
    fn read(&mut self, batch: &mut Batch<'a, '_>, request: &'a [u8], oldest: i64) -> Result<(), Malformed> {
        let mut message = Message::new(request);
        while let Some(field) = message.next()? {
            if let (1, Field::Bytes(content)) = field {
                self.read_resource_logs(batch, content, oldest)?;
            }
        }
        Ok(())
    }

    fn write(self, batch: &mut Batch<'a, '_>, capacity: usize) -> Result<Block, Failure> {
        let (contents, identities) = self.hashes(batch);
        let service_names = services(batch, &self.resources);
        let columns = [
            Column::plain("Timestamp", TIME, self.times),
            Column::plain("TraceId", "String", self.trace_ids),
            Column::plain("SpanId", "String", self.span_ids),
            Column::plain("TraceFlags", "UInt8", self.flags),
            Column::texts("SeverityText", self.severity_texts),
            Column::plain("SeverityNumber", "UInt8", self.severities),
            Column::texts("ServiceName", service_names),
            Column::texts("Body", self.bodies),
            Column::texts("ResourceSchemaUrl", self.resource_urls),
            Column::maps("ResourceAttributes", self.resources),
            Column::texts("ScopeSchemaUrl", self.scope_urls),
            Column::texts("ScopeName", self.scope_names),
            Column::texts("ScopeVersion", self.scope_versions),
            Column::maps("ScopeAttributes", self.scopes),
            Column::maps("LogAttributes", self.attributes),
            Column::texts("EventName", self.event_names),
        ];
        Ok(Block {
            data: write(batch, self.rows, &columns, capacity)?,
            rows: self.rows,
            contents,
            identities,
            past_retention: self.past,
            ends_before_start: 0,
        })
    }
}

impl<'a> Logs<'a> {
    fn read_resource_logs(
        &mut self,
        batch: &mut Batch<'a, '_>,
        data: &'a [u8],
        oldest: i64,
    ) -> Result<(), Malformed> {
        let (pairs, url) = read_resource(data)?;
        self.resource_url = url;
        self.resource = batch.map(&pairs, false);
        let mut message = Message::new(data);
        while let Some(field) = message.next()? {
            if let (2, Field::Bytes(content)) = field {
                self.read_scope_logs(batch, content, oldest)?;
            }
        }
        Ok(())
    }

    fn read_scope_logs(
        &mut self,
        batch: &mut Batch<'a, '_>,
        data: &'a [u8],
        oldest: i64,
    ) -> Result<(), Malformed> {
        self.scope = read_scope(data)?;
        self.scope_map = batch.map(&self.scope.pairs, false);
        let mut message = Message::new(data);
        while let Some(field) = message.next()? {
            if let (2, Field::Bytes(content)) = field {
                self.read_record(batch, content, oldest)?;
            }
        }
        Ok(())
    }

    fn read_record(
        &mut self,
        batch: &mut Batch<'a, '_>,
        data: &'a [u8],
        oldest: i64,
    ) -> Result<(), Malformed> {
        let (mut time, mut observed) = (0u64, 0u64);
        let (mut severity, mut flags) = (0i32, 0u32);
        let (mut severity_text, mut event_name): (&[u8], &[u8]) = (b"", b"");
        let (mut trace_id, mut span_id): (&[u8], &[u8]) = (b"", b"");
        self.pairs.clear();
        self.pieces.clear();
        let mut message = Message::new(data);
        while let Some(field) = message.next()? {
            match field {
                (1, Field::Fixed64(number)) => time = number,
                (2, Field::Varint(number)) => severity = number as i32,
                (3, Field::Bytes(content)) => severity_text = content,
                (5, Field::Bytes(content)) => self.pieces.push(content),
                (6, Field::Bytes(content)) => self.pairs.push(content),
                (8, Field::Fixed32(number)) => flags = number,
                (9, Field::Bytes(content)) => trace_id = content,
                (10, Field::Bytes(content)) => span_id = content,
                (11, Field::Fixed64(number)) => observed = number,
                (12, Field::Bytes(content)) => event_name = content,
                _ => {}
            }
        }
        let time = nanoseconds(if time == 0 { observed } else { time });
        self.past += u64::from(time < oldest);
        self.times.extend_from_slice(&time.to_le_bytes());
        Batch::put_id(&mut self.trace_ids, trace_id);
        Batch::put_id(&mut self.span_ids, span_id);
        self.flags.push(flags as u8);
        self.severity_texts.push(batch.clean(4, severity_text)?);
        self.severities.push(severity.clamp(0, 255) as u8);
        self.bodies.push(batch.body(&self.pieces)?);
        self.resource_urls.push(batch.clean(0, self.resource_url)?);
        self.resources.push(self.resource);
        self.scope_urls.push(batch.clean(1, self.scope.url)?);
        self.scope_names.push(batch.clean(2, self.scope.name)?);
        self.scope_versions.push(batch.clean(3, self.scope.version)?);
        self.scopes.push(self.scope_map);
        self.attributes.push(batch.map(&self.pairs, true));
        self.event_names.push(batch.clean(5, event_name)?);
        self.rows += 1;
        Ok(())
    }

    /// The hashes of `otlp_event_content` and `otlp_event_identity`.
    fn hashes(&self, batch: &Batch<'a, '_>) -> (Vec<u64>, Vec<u64>) {
        let (mut contents, mut identities) = (Vec::with_capacity(self.rows), Vec::with_capacity(self.rows));
        for row in 0..self.rows {
            let time = &self.times[8 * row..8 * row + 8];
            let (body, name) = (batch.bytes(self.bodies[row]), batch.bytes(self.event_names[row]));
            let map = self.attributes[row];
            let value = |key: &[u8]| batch.bytes(batch.value_in(map, key));
            let (request, call) = (value(b"request_id"), value(b"tool_use_id"));
            let has_name = !request.is_empty() || !call.is_empty() || !value(b"event.sequence").is_empty();
            contents.push(if has_name && time != [0; 8] {
                let hash = city::joined(city::bytes(time), city::bytes(body));
                city_of_map(batch, city::joined(hash, city::bytes(name)), map)
            } else {
                0
            });
            let sent = value(b"event.name");
            let shown = if name.is_empty() { body } else { name };
            let id = |kind: &[u8]| if kind.starts_with(b"api_") { request } else { call };
            let bare;
            let kind = if sent.is_empty() {
                bare = without_prefix(shown);
                bare.as_slice()
            } else {
                sent
            };
            let is_one_of_a_kind = matches!(kind, b"api_request" | b"api_error" | b"tool_result");
            identities.push(if is_one_of_a_kind && !id(kind).is_empty() {
                let hash = city::joined(city::bytes(kind), city::bytes(value(b"session.id")));
                city::joined(hash, city::bytes(id(kind)))
            } else {
                0
            });
        }
        (contents, identities)
    }
}

/// A text without the first `claude_code.` in it.
fn without_prefix(text: &[u8]) -> Vec<u8> {
    const PREFIX: &[u8] = b"claude_code.";
    match text.windows(PREFIX.len()).position(|window| window == PREFIX) {
        Some(at) => [&text[..at], &text[at + PREFIX.len()..]].concat(),
        None if text.len() <= 64 => text.to_vec(),
        None => Vec::new(), // no kind of event that has an identity
    }
}
