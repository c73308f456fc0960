//! The rows of `otel_traces`, as `clickhouse/transform/otel_traces.sql` describes them.

use crate::batch::{Batch, Text};
use crate::city;
use crate::columns::{put_number, put_text, write, Column, TIME};
use crate::rows::{city_of_map, number_at, read_resource, read_scope, services, Block, Scope, Table};
use crate::wire::{Field, Malformed, Message};
use crate::{nanoseconds, Failure};

const KINDS: [&[u8]; 6] = [b"Unspecified", b"Internal", b"Server", b"Client", b"Producer", b"Consumer"];
const CODES: [&[u8]; 3] = [b"Unset", b"Ok", b"Error"];

#[derive(Default)]
pub struct Traces<'a> {
    resource: u32,
    scope: Scope<'a>,
    pairs: Vec<&'a [u8]>,
    rows: usize,
    past: u64,
    backwards: u64,

    times: Vec<u8>,
    trace_ids: Vec<u8>,
    span_ids: Vec<u8>,
    parents: Vec<u8>,
    states: Vec<Text<'a>>,
    names: Vec<Text<'a>>,
    kinds: Vec<u8>,
    resources: Vec<u32>,
    scope_names: Vec<Text<'a>>,
    scope_versions: Vec<Text<'a>>,
    attributes: Vec<u32>,
    durations: Vec<u8>,
    codes: Vec<u8>,
    messages: Vec<Text<'a>>,
    event_ends: Vec<u64>,
    event_times: Vec<u8>,
    event_names: Vec<Text<'a>>,
    event_attributes: Vec<u32>,
    link_ends: Vec<u64>,
    link_trace_ids: Vec<u8>,
    link_span_ids: Vec<u8>,
    link_states: Vec<Text<'a>>,
    link_attributes: Vec<u32>,
    /// What `Content` is of: where the ids of each span begin and end, and whether it has ids and a time.
    known: Vec<(u32, u32, u32, u32, bool)>,
}

impl<'a> Table<'a> for Traces<'a> {
    fn read(&mut self, batch: &mut Batch<'a, '_>, request: &'a [u8], oldest: i64) -> Result<(), Malformed> {
        let mut message = Message::new(request);
        while let Some(field) = message.next()? {
            if let (1, Field::Bytes(content)) = field {
                self.read_resource_spans(batch, content, oldest)?;
            }
        }
        Ok(())
    }

    fn write(self, batch: &mut Batch<'a, '_>, capacity: usize) -> Result<Block, Failure> {
        let contents = self.contents(batch);
        let service_names: Vec<Text<'a>> = services(batch, &self.resources);
        let columns = [
            Column::plain("Timestamp", TIME, self.times),
            Column::plain("TraceId", "String", self.trace_ids),
            Column::plain("SpanId", "String", self.span_ids),
            Column::plain("ParentSpanId", "String", self.parents),
            Column::texts("TraceState", self.states),
            Column::texts("SpanName", self.names),
            Column::plain("SpanKind", "String", self.kinds),
            Column::texts("ServiceName", service_names),
            Column::maps("ResourceAttributes", self.resources),
            Column::texts("ScopeName", self.scope_names),
            Column::texts("ScopeVersion", self.scope_versions),
            Column::maps("SpanAttributes", self.attributes),
            Column::plain("Duration", "UInt64", self.durations),
            Column::plain("StatusCode", "String", self.codes),
            Column::texts("StatusMessage", self.messages),
            Column::plain("Events.Timestamp", TIME, self.event_times).arrays(&self.event_ends),
            Column::texts("Events.Name", self.event_names).arrays(&self.event_ends),
            Column::maps("Events.Attributes", self.event_attributes).arrays(&self.event_ends),
            Column::plain("Links.TraceId", "String", self.link_trace_ids).arrays(&self.link_ends),
            Column::plain("Links.SpanId", "String", self.link_span_ids).arrays(&self.link_ends),
            Column::texts("Links.TraceState", self.link_states).arrays(&self.link_ends),
            Column::maps("Links.Attributes", self.link_attributes).arrays(&self.link_ends),
        ];
        Ok(Block {
            data: write(batch, self.rows, &columns, capacity)?,
            rows: self.rows,
            identities: vec![0; contents.len()],
            contents,
            past_retention: self.past,
            ends_before_start: self.backwards,
        })
    }
}

impl<'a> Traces<'a> {
    fn read_resource_spans(
        &mut self,
        batch: &mut Batch<'a, '_>,
        data: &'a [u8],
        oldest: i64,
    ) -> Result<(), Malformed> {
        let (pairs, _) = read_resource(data)?;
        self.resource = batch.map(&pairs, false);
        let mut message = Message::new(data);
        while let Some(field) = message.next()? {
            if let (2, Field::Bytes(content)) = field {
                self.read_scope_spans(batch, content, oldest)?;
            }
        }
        Ok(())
    }

    fn read_scope_spans(
        &mut self,
        batch: &mut Batch<'a, '_>,
        data: &'a [u8],
        oldest: i64,
    ) -> Result<(), Malformed> {
        self.scope = read_scope(data)?;
        let mut message = Message::new(data);
        while let Some(field) = message.next()? {
            if let (2, Field::Bytes(content)) = field {
                self.read_span(batch, content, oldest)?;
            }
        }
        Ok(())
    }

    fn read_span(&mut self, batch: &mut Batch<'a, '_>, data: &'a [u8], oldest: i64) -> Result<(), Malformed> {
        let (mut trace_id, mut span_id, mut parent): (&[u8], &[u8], &[u8]) = (b"", b"", b"");
        let (mut state, mut name, mut status): (&[u8], &[u8], &[u8]) = (b"", b"", b"");
        let (mut kind, mut start, mut end, mut code) = (0i32, 0u64, 0u64, 0i32);
        let mut pairs = std::mem::take(&mut self.pairs);
        pairs.clear();
        let mut message = Message::new(data);
        while let Some(field) = message.next()? {
            match field {
                (1, Field::Bytes(content)) => trace_id = content,
                (2, Field::Bytes(content)) => span_id = content,
                (3, Field::Bytes(content)) => state = content,
                (4, Field::Bytes(content)) => parent = content,
                (5, Field::Bytes(content)) => name = content,
                (6, Field::Varint(number)) => kind = number as i32,
                (7, Field::Fixed64(number)) => start = number,
                (8, Field::Fixed64(number)) => end = number,
                (9, Field::Bytes(content)) => pairs.push(content),
                (11, Field::Bytes(content)) => self.read_event(batch, content)?,
                (13, Field::Bytes(content)) => self.read_link(batch, content)?,
                (15, Field::Bytes(content)) => {
                    let mut inside = Message::new(content);
                    while let Some(field) = inside.next()? {
                        match field {
                            (2, Field::Bytes(text)) => status = text,
                            (3, Field::Varint(number)) => code = number as i32,
                            _ => {}
                        }
                    }
                }
                _ => {}
            }
        }
        let time = nanoseconds(start);
        self.past += u64::from(time < oldest);
        self.times.extend_from_slice(&time.to_le_bytes());
        let trace_at = self.trace_ids.len() as u32;
        Batch::put_id(&mut self.trace_ids, trace_id);
        let span_at = self.span_ids.len() as u32;
        Batch::put_id(&mut self.span_ids, span_id);
        Batch::put_id(&mut self.parents, parent);
        let (trace_end, span_end) = (self.trace_ids.len() as u32, self.span_ids.len() as u32);
        let is_known = start != 0 && trace_end - trace_at > 1 && span_end - span_at > 1;
        self.known.push((trace_at, trace_end, span_at, span_end, is_known));
        self.states.push(batch.clean(2, state)?);
        self.names.push(batch.clean(3, name)?);
        put_text(&mut self.kinds, name_of(&KINDS, kind));
        self.resources.push(self.resource);
        self.scope_names.push(batch.clean(0, self.scope.name)?);
        self.scope_versions.push(batch.clean(1, self.scope.version)?);
        self.attributes.push(batch.map(&pairs, true));
        self.pairs = pairs;
        self.backwards += u64::from(end < start);
        put_number(&mut self.durations, end.saturating_sub(start));
        put_text(&mut self.codes, name_of(&CODES, code));
        self.messages.push(batch.status_message(4, status)?);
        self.event_ends.push(self.event_names.len() as u64);
        self.link_ends.push(self.link_states.len() as u64);
        self.rows += 1;
        Ok(())
    }

    fn read_event(&mut self, batch: &mut Batch<'a, '_>, data: &'a [u8]) -> Result<(), Malformed> {
        let (mut time, mut name): (u64, &[u8]) = (0, b"");
        let mut pairs = Vec::new();
        let mut message = Message::new(data);
        while let Some(field) = message.next()? {
            match field {
                (1, Field::Fixed64(number)) => time = number,
                (2, Field::Bytes(content)) => name = content,
                (3, Field::Bytes(content)) => pairs.push(content),
                _ => {}
            }
        }
        self.event_times.extend_from_slice(&nanoseconds(time).to_le_bytes());
        self.event_names.push(batch.clean(5, name)?);
        self.event_attributes.push(batch.map(&pairs, false));
        Ok(())
    }

    fn read_link(&mut self, batch: &mut Batch<'a, '_>, data: &'a [u8]) -> Result<(), Malformed> {
        let (mut trace_id, mut span_id, mut state): (&[u8], &[u8], &[u8]) = (b"", b"", b"");
        let mut pairs = Vec::new();
        let mut message = Message::new(data);
        while let Some(field) = message.next()? {
            match field {
                (1, Field::Bytes(content)) => trace_id = content,
                (2, Field::Bytes(content)) => span_id = content,
                (3, Field::Bytes(content)) => state = content,
                (4, Field::Bytes(content)) => pairs.push(content),
                _ => {}
            }
        }
        Batch::put_id(&mut self.link_trace_ids, trace_id);
        Batch::put_id(&mut self.link_span_ids, span_id);
        self.link_states.push(batch.clean(6, state)?);
        self.link_attributes.push(batch.map(&pairs, false));
        Ok(())
    }

    /// The hash by which a span is known when it arrives again; 0 for one without ids or a time.
    fn contents(&self, batch: &Batch<'a, '_>) -> Vec<u64> {
        let mut contents = Vec::with_capacity(self.rows);
        for (row, &(trace_at, trace_end, span_at, span_end, is_known)) in self.known.iter().enumerate() {
            if !is_known {
                contents.push(0);
                continue;
            }
            let mut hash = city::bytes(&self.times[8 * row..8 * row + 8]);
            hash = city::joined(hash, city::bytes(within(&self.trace_ids, trace_at, trace_end)));
            hash = city::joined(hash, city::bytes(within(&self.span_ids, span_at, span_end)));
            hash = city::joined(hash, city::number(number_at(&self.durations, row)));
            hash = city::joined(hash, city::bytes(batch.bytes(self.names[row])));
            contents.push(city_of_map(batch, hash, self.attributes[row]));
        }
        contents
    }
}

/// The text that was written between two places, without its length.
fn within(written: &[u8], start: u32, end: u32) -> &[u8] {
    let mut message = Message::new(&written[start as usize..end as usize]);
    let size = message.varint().unwrap_or(0) as usize;
    &written[end as usize - size..end as usize]
}

fn name_of<'n>(names: &[&'n [u8]], number: i32) -> &'n [u8] {
    usize::try_from(number).ok().and_then(|at| names.get(at).copied()).unwrap_or(names[0])
}
