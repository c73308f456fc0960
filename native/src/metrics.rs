//! The rows of the five tables of metrics, as `clickhouse/transform/metric_points.sql` and the files of the tables
//! describe them. A pass reads the data points of one kind.

use crate::batch::{Batch, Text};
use crate::city;
use crate::columns::{put_number, write, Column, TIME};
use crate::nanoseconds;
use crate::rows::{city_of_map, number_at, read_resource, read_scope, services, Block, Scope, Table};
use crate::wire::{Field, Malformed, Message};
use crate::Failure;

/// The kinds by their numbers among the fields of a metric.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Gauge = 5,
    Sum = 7,
    Histogram = 9,
    ExpHistogram = 10,
    Summary = 11,
}

const KINDS: std::ops::RangeInclusive<u64> = 5..=11;

/// The numbers of the fields of a data point, 0 for one that the kind does not have.
struct Fields {
    start: u64,
    time: u64,
    attributes: u64,
    exemplars: u64,
    flags: u64,
}

const FIELDS_OF_NUMBERS: Fields = Fields { start: 2, time: 3, attributes: 7, exemplars: 5, flags: 8 };
const FIELDS_OF_HISTOGRAMS: Fields = Fields { start: 2, time: 3, attributes: 9, exemplars: 8, flags: 10 };
const FIELDS_OF_EXP_HISTOGRAMS: Fields =
    Fields { start: 2, time: 3, attributes: 1, exemplars: 11, flags: 10 };
const FIELDS_OF_SUMMARIES: Fields = Fields { start: 2, time: 3, attributes: 7, exemplars: 0, flags: 8 };

/// A column of arrays of numbers of eight bytes.
#[derive(Default)]
struct Arrays {
    ends: Vec<u64>,
    values: Vec<u8>,
}

impl Arrays {
    fn end(&mut self) {
        self.ends.push(self.values.len() as u64 / 8);
    }

    /// Join the hash of a row's array to that of the values before it.
    fn city(&self, before: u64, row: usize) -> u64 {
        let start = if row == 0 { 0 } else { self.ends[row - 1] as usize };
        let end = self.ends[row] as usize;
        let hash = city::joined(before, city::number((end - start) as u64));
        (start..end).fold(hash, |hash, at| city::joined(hash, city::number(number_at(&self.values, at))))
    }

    fn column<'a>(self, name: &'static str, kind: &'static str) -> Column<'a> {
        Column::plain(name, kind, self.values).arrays(&self.ends)
    }
}

/// What a data point has besides what all have.
#[derive(Default)]
struct Point {
    value: Option<f64>,
    count: u64,
    sum: f64,
    min: f64,
    max: f64,
    scale: i32,
    zero_count: u64,
    positive_offset: i32,
    negative_offset: i32,
}

/// The metric whose points are read.
#[derive(Clone, Copy)]
struct Metric<'a> {
    name: &'a [u8],
    description: &'a [u8],
    unit: &'a [u8],
    temporality: i32,
    is_monotonic: bool,
}

pub struct Metrics<'a> {
    kind: Kind,
    fields: Fields,
    resource: u32,
    resource_url: &'a [u8],
    scope: u32,
    rows: usize,
    past: u64,

    resources: Vec<u32>,
    resource_urls: Vec<Text<'a>>,
    scope_names: Vec<Text<'a>>,
    scope_versions: Vec<Text<'a>>,
    scopes: Vec<u32>,
    dropped: Vec<u8>,
    scope_urls: Vec<Text<'a>>,
    names: Vec<Text<'a>>,
    descriptions: Vec<Text<'a>>,
    units: Vec<Text<'a>>,
    attributes: Vec<u32>,
    starts: Vec<u8>,
    times: Vec<u8>,
    has_time: Vec<bool>,
    values: Vec<u8>,
    flags: Vec<u8>,
    flag_numbers: Vec<u32>,
    counts: Vec<u8>,
    sums: Vec<u8>,
    mins: Vec<u8>,
    maxs: Vec<u8>,
    buckets: Arrays,
    bounds: Arrays,
    scales: Vec<u8>,
    zero_counts: Vec<u8>,
    positive_offsets: Vec<u8>,
    negative_offsets: Vec<u8>,
    negative: Arrays,
    quantiles: Arrays,
    quantile_values: Arrays,
    temporalities: Vec<u8>,
    temporality_numbers: Vec<i32>,
    are_monotonic: Vec<u8>,
    exemplar_ends: Vec<u64>,
    exemplar_attributes: Vec<u32>,
    exemplar_times: Vec<u8>,
    exemplar_values: Vec<u8>,
    exemplar_span_ids: Vec<u8>,
    exemplar_trace_ids: Vec<u8>,
}

impl<'a> Table<'a> for Metrics<'a> {
    fn read(&mut self, batch: &mut Batch<'a, '_>, request: &'a [u8], oldest: i64) -> Result<(), Malformed> {
        let mut message = Message::new(request);
        while let Some(field) = message.next()? {
            if let (1, Field::Bytes(content)) = field {
                self.read_resource_metrics(batch, content, oldest)?;
            }
        }
        Ok(())
    }

    fn write(self, batch: &mut Batch<'a, '_>, capacity: usize) -> Result<Block, Failure> {
        let contents = self.contents(batch);
        let service_names = services(batch, &self.resources);
        let kind = self.kind;
        let mut columns = vec![
            Column::maps("ResourceAttributes", self.resources),
            Column::texts("ResourceSchemaUrl", self.resource_urls),
            Column::texts("ScopeName", self.scope_names),
            Column::texts("ScopeVersion", self.scope_versions),
            Column::maps("ScopeAttributes", self.scopes),
            Column::plain("ScopeDroppedAttrCount", "UInt32", self.dropped),
            Column::texts("ScopeSchemaUrl", self.scope_urls),
            Column::texts("ServiceName", service_names),
            Column::texts("MetricName", self.names),
            Column::texts("MetricDescription", self.descriptions),
            Column::texts("MetricUnit", self.units),
            Column::maps("Attributes", self.attributes),
            Column::plain("StartTimeUnix", TIME, self.starts),
            Column::plain("TimeUnix", TIME, self.times),
        ];
        if matches!(kind, Kind::Gauge | Kind::Sum) {
            columns.push(Column::plain("Value", "Float64", self.values));
            columns.push(Column::plain("Flags", "UInt32", self.flags.clone()));
        } else {
            columns.push(Column::plain("Count", "UInt64", self.counts));
            columns.push(Column::plain("Sum", "Float64", self.sums));
        }
        match kind {
            Kind::Gauge | Kind::Sum => {}
            Kind::Histogram => {
                columns.push(self.buckets.column("BucketCounts", "UInt64"));
                columns.push(self.bounds.column("ExplicitBounds", "Float64"));
            }
            Kind::ExpHistogram => {
                columns.push(Column::plain("Scale", "Int32", self.scales));
                columns.push(Column::plain("ZeroCount", "UInt64", self.zero_counts));
                columns.push(Column::plain("PositiveOffset", "Int32", self.positive_offsets));
                columns.push(self.buckets.column("PositiveBucketCounts", "UInt64"));
                columns.push(Column::plain("NegativeOffset", "Int32", self.negative_offsets));
                columns.push(self.negative.column("NegativeBucketCounts", "UInt64"));
            }
            Kind::Summary => {
                columns.push(self.quantiles.column("ValueAtQuantiles.Quantile", "Float64"));
                columns.push(self.quantile_values.column("ValueAtQuantiles.Value", "Float64"));
                columns.push(Column::plain("Flags", "UInt32", self.flags.clone()));
            }
        }
        if kind != Kind::Summary {
            let ends = &self.exemplar_ends;
            columns.push(Column::maps("Exemplars.FilteredAttributes", self.exemplar_attributes).arrays(ends));
            columns.push(Column::plain("Exemplars.TimeUnix", TIME, self.exemplar_times).arrays(ends));
            columns.push(Column::plain("Exemplars.Value", "Float64", self.exemplar_values).arrays(ends));
            columns.push(Column::plain("Exemplars.SpanId", "String", self.exemplar_span_ids).arrays(ends));
            columns.push(Column::plain("Exemplars.TraceId", "String", self.exemplar_trace_ids).arrays(ends));
        }
        if matches!(kind, Kind::Histogram | Kind::ExpHistogram) {
            columns.push(Column::plain("Flags", "UInt32", self.flags));
            columns.push(Column::plain("Min", "Float64", self.mins));
            columns.push(Column::plain("Max", "Float64", self.maxs));
        }
        if matches!(kind, Kind::Sum | Kind::Histogram | Kind::ExpHistogram) {
            columns.push(Column::plain("AggregationTemporality", "Int32", self.temporalities));
        }
        if kind == Kind::Sum {
            columns.push(Column::plain("IsMonotonic", "Bool", self.are_monotonic));
        }
        Ok(Block {
            data: write(batch, self.rows, &columns, capacity)?,
            rows: self.rows,
            identities: vec![0; contents.len()],
            contents,
            past_retention: self.past,
            ends_before_start: 0,
        })
    }
}

impl<'a> Metrics<'a> {
    /// Return the pass for a table, None for one that has no metrics.
    pub fn of(table: &str) -> Option<Self> {
        let (kind, fields) = match table {
            "otel_metrics_gauge" => (Kind::Gauge, FIELDS_OF_NUMBERS),
            "otel_metrics_sum" => (Kind::Sum, FIELDS_OF_NUMBERS),
            "otel_metrics_histogram" => (Kind::Histogram, FIELDS_OF_HISTOGRAMS),
            "otel_metrics_exp_histogram" => (Kind::ExpHistogram, FIELDS_OF_EXP_HISTOGRAMS),
            "otel_metrics_summary" => (Kind::Summary, FIELDS_OF_SUMMARIES),
            _ => return None,
        };
        Some(Metrics {
            kind,
            fields,
            resource: 0,
            resource_url: b"",
            scope: 0,
            rows: 0,
            past: 0,
            resources: Vec::new(),
            resource_urls: Vec::new(),
            scope_names: Vec::new(),
            scope_versions: Vec::new(),
            scopes: Vec::new(),
            dropped: Vec::new(),
            scope_urls: Vec::new(),
            names: Vec::new(),
            descriptions: Vec::new(),
            units: Vec::new(),
            attributes: Vec::new(),
            starts: Vec::new(),
            times: Vec::new(),
            has_time: Vec::new(),
            values: Vec::new(),
            flags: Vec::new(),
            flag_numbers: Vec::new(),
            counts: Vec::new(),
            sums: Vec::new(),
            mins: Vec::new(),
            maxs: Vec::new(),
            buckets: Arrays::default(),
            bounds: Arrays::default(),
            scales: Vec::new(),
            zero_counts: Vec::new(),
            positive_offsets: Vec::new(),
            negative_offsets: Vec::new(),
            negative: Arrays::default(),
            quantiles: Arrays::default(),
            quantile_values: Arrays::default(),
            temporalities: Vec::new(),
            temporality_numbers: Vec::new(),
            are_monotonic: Vec::new(),
            exemplar_ends: Vec::new(),
            exemplar_attributes: Vec::new(),
            exemplar_times: Vec::new(),
            exemplar_values: Vec::new(),
            exemplar_span_ids: Vec::new(),
            exemplar_trace_ids: Vec::new(),
        })
    }

    fn read_resource_metrics(
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
                self.read_scope_metrics(batch, content, oldest)?;
            }
        }
        Ok(())
    }

    fn read_scope_metrics(
        &mut self,
        batch: &mut Batch<'a, '_>,
        data: &'a [u8],
        oldest: i64,
    ) -> Result<(), Malformed> {
        let scope = read_scope(data)?;
        self.scope = batch.map(&scope.pairs, false);
        let mut message = Message::new(data);
        while let Some(field) = message.next()? {
            if let (2, Field::Bytes(content)) = field {
                self.read_metric(batch, &scope, content, oldest)?;
            }
        }
        Ok(())
    }

    fn read_metric(
        &mut self,
        batch: &mut Batch<'a, '_>,
        scope: &Scope<'a>,
        data: &'a [u8],
        oldest: i64,
    ) -> Result<(), Malformed> {
        let mut metric =
            Metric { name: b"", description: b"", unit: b"", temporality: 0, is_monotonic: false };
        // A metric has data of one kind: of several that are sent, the last counts, in all its parts.
        let mut sent = 0;
        let mut parts: Vec<&'a [u8]> = Vec::new();
        let mut message = Message::new(data);
        while let Some(field) = message.next()? {
            match field {
                (1, Field::Bytes(content)) => metric.name = content,
                (2, Field::Bytes(content)) => metric.description = content,
                (3, Field::Bytes(content)) => metric.unit = content,
                (number, Field::Bytes(content)) if KINDS.contains(&number) && number != 6 && number != 8 => {
                    if number != sent {
                        parts.clear();
                        sent = number;
                    }
                    parts.push(content);
                }
                _ => {}
            }
        }
        if sent != self.kind as u64 {
            return Ok(());
        }
        let mut points: Vec<&'a [u8]> = Vec::new();
        for part in parts {
            let mut message = Message::new(part);
            while let Some(field) = message.next()? {
                match field {
                    (1, Field::Bytes(content)) => points.push(content),
                    (2, Field::Varint(number)) => metric.temporality = number as i32,
                    (3, Field::Varint(number)) => metric.is_monotonic = number != 0,
                    _ => {}
                }
            }
        }
        for point in points {
            self.read_point(batch, scope, metric, point, oldest)?;
        }
        Ok(())
    }

    fn read_point(
        &mut self,
        batch: &mut Batch<'a, '_>,
        scope: &Scope<'a>,
        metric: Metric<'a>,
        data: &'a [u8],
        oldest: i64,
    ) -> Result<(), Malformed> {
        let (mut start, mut time, mut flags) = (0u64, 0u64, 0u32);
        let mut point = Point::default();
        let mut pairs = Vec::new();
        let mut message = Message::new(data);
        while let Some(field) = message.next()? {
            match field {
                (number, Field::Fixed64(bits)) if number == self.fields.start => start = bits,
                (number, Field::Fixed64(bits)) if number == self.fields.time => time = bits,
                (number, Field::Bytes(pair)) if number == self.fields.attributes => pairs.push(pair),
                (number, Field::Bytes(content)) if number == self.fields.exemplars => {
                    self.read_exemplar(batch, content)?;
                }
                (number, Field::Varint(bits)) if number == self.fields.flags => flags = bits as u32,
                other => self.read_field(&mut point, other)?,
            }
        }
        let time_made = nanoseconds(time);
        self.past += u64::from(time_made < oldest);
        self.resources.push(self.resource);
        self.resource_urls.push(batch.clean(0, self.resource_url)?);
        self.scope_names.push(batch.clean(1, scope.name)?);
        self.scope_versions.push(batch.clean(2, scope.version)?);
        self.scopes.push(self.scope);
        self.dropped.extend_from_slice(&scope.dropped.to_le_bytes());
        self.scope_urls.push(batch.clean(3, scope.url)?);
        self.names.push(batch.clean(4, metric.name)?);
        self.descriptions.push(batch.clean(5, metric.description)?);
        self.units.push(batch.clean(6, metric.unit)?);
        self.attributes.push(batch.map(&pairs, false));
        self.starts.extend_from_slice(&nanoseconds(start).to_le_bytes());
        self.times.extend_from_slice(&time_made.to_le_bytes());
        self.has_time.push(time != 0);
        // Flag 1 says that nothing was recorded, whatever stands there.
        let value = if flags & 1 == 1 { f64::NAN } else { point.value.unwrap_or(f64::NAN) };
        self.values.extend_from_slice(&value.to_le_bytes());
        self.flags.extend_from_slice(&flags.to_le_bytes());
        self.flag_numbers.push(flags);
        put_number(&mut self.counts, point.count);
        self.sums.extend_from_slice(&point.sum.to_le_bytes());
        self.mins.extend_from_slice(&point.min.to_le_bytes());
        self.maxs.extend_from_slice(&point.max.to_le_bytes());
        self.scales.extend_from_slice(&point.scale.to_le_bytes());
        put_number(&mut self.zero_counts, point.zero_count);
        self.positive_offsets.extend_from_slice(&point.positive_offset.to_le_bytes());
        self.negative_offsets.extend_from_slice(&point.negative_offset.to_le_bytes());
        self.buckets.end();
        self.bounds.end();
        self.negative.end();
        self.quantiles.end();
        self.quantile_values.end();
        self.temporalities.extend_from_slice(&metric.temporality.to_le_bytes());
        self.temporality_numbers.push(metric.temporality);
        self.are_monotonic.push(u8::from(metric.is_monotonic));
        self.exemplar_ends.push(self.exemplar_attributes.len() as u64);
        self.rows += 1;
        Ok(())
    }

    /// Read a field that only the points of this kind have.
    fn read_field(&mut self, point: &mut Point, field: (u64, Field<'a>)) -> Result<(), Malformed> {
        match (self.kind, field) {
            (Kind::Gauge | Kind::Sum, (4, Field::Fixed64(bits))) => point.value = Some(f64::from_bits(bits)),
            (Kind::Gauge | Kind::Sum, (6, Field::Fixed64(bits))) => point.value = Some(bits as i64 as f64),
            (Kind::Gauge | Kind::Sum, _) => {}
            (_, (4, Field::Fixed64(bits))) => point.count = bits,
            (_, (5, Field::Fixed64(bits))) => point.sum = f64::from_bits(bits),
            (Kind::Histogram, (6, content)) => put_fixed(&mut self.buckets.values, content)?,
            (Kind::Histogram, (7, content)) => put_fixed(&mut self.bounds.values, content)?,
            (Kind::Histogram, (11, Field::Fixed64(bits))) => point.min = f64::from_bits(bits),
            (Kind::Histogram, (12, Field::Fixed64(bits))) => point.max = f64::from_bits(bits),
            (Kind::ExpHistogram, (6, Field::Varint(bits))) => point.scale = zigzag(bits),
            (Kind::ExpHistogram, (7, Field::Fixed64(bits))) => point.zero_count = bits,
            (Kind::ExpHistogram, (8, Field::Bytes(content))) => {
                read_buckets(content, &mut point.positive_offset, &mut self.buckets.values)?;
            }
            (Kind::ExpHistogram, (9, Field::Bytes(content))) => {
                read_buckets(content, &mut point.negative_offset, &mut self.negative.values)?;
            }
            (Kind::ExpHistogram, (12, Field::Fixed64(bits))) => point.min = f64::from_bits(bits),
            (Kind::ExpHistogram, (13, Field::Fixed64(bits))) => point.max = f64::from_bits(bits),
            (Kind::Summary, (6, Field::Bytes(content))) => {
                let (mut quantile, mut value) = (0, 0);
                let mut message = Message::new(content);
                while let Some(field) = message.next()? {
                    match field {
                        (1, Field::Fixed64(bits)) => quantile = bits,
                        (2, Field::Fixed64(bits)) => value = bits,
                        _ => {}
                    }
                }
                put_number(&mut self.quantiles.values, quantile);
                put_number(&mut self.quantile_values.values, value);
            }
            _ => {}
        }
        Ok(())
    }

    fn read_exemplar(&mut self, batch: &mut Batch<'a, '_>, data: &'a [u8]) -> Result<(), Malformed> {
        let (mut time, mut value) = (0u64, f64::NAN);
        let (mut span_id, mut trace_id): (&[u8], &[u8]) = (b"", b"");
        let mut pairs = Vec::new();
        let mut message = Message::new(data);
        while let Some(field) = message.next()? {
            match field {
                (2, Field::Fixed64(bits)) => time = bits,
                (3, Field::Fixed64(bits)) => value = f64::from_bits(bits),
                (6, Field::Fixed64(bits)) => value = bits as i64 as f64,
                (4, Field::Bytes(content)) => span_id = content,
                (5, Field::Bytes(content)) => trace_id = content,
                (7, Field::Bytes(content)) => pairs.push(content),
                _ => {}
            }
        }
        self.exemplar_attributes.push(batch.map(&pairs, false));
        self.exemplar_times.extend_from_slice(&nanoseconds(time).to_le_bytes());
        self.exemplar_values.extend_from_slice(&value.to_le_bytes());
        Batch::put_id(&mut self.exemplar_span_ids, span_id);
        Batch::put_id(&mut self.exemplar_trace_ids, trace_id);
        Ok(())
    }

    /// The hash by which a point is known when it arrives again; 0 for one without a time.
    fn contents(&self, batch: &Batch<'a, '_>) -> Vec<u64> {
        (0..self.rows)
            .map(|row| {
                if !self.has_time[row] {
                    return 0;
                }
                let eight = |column: &[u8]| city::number(number_at(column, row));
                let mut hash = city::bytes(batch.bytes(self.names[row]));
                hash = city_of_map(batch, hash, self.resources[row]);
                hash = city::joined(hash, city::bytes(batch.bytes(self.scope_names[row])));
                hash = city_of_map(batch, hash, self.attributes[row]);
                hash = city::joined(hash, city::bytes(&self.starts[8 * row..8 * row + 8]));
                hash = city::joined(hash, city::bytes(&self.times[8 * row..8 * row + 8]));
                hash = city::joined(hash, city::number(u64::from(self.flag_numbers[row])));
                if matches!(self.kind, Kind::Gauge | Kind::Sum) {
                    hash = city::joined(hash, eight(&self.values));
                } else {
                    hash = city::joined(hash, eight(&self.counts));
                    hash = city::joined(hash, eight(&self.sums));
                }
                match self.kind {
                    Kind::Sum => {
                        city::joined(hash, city::number(u64::from(self.temporality_numbers[row] as u32)))
                    }
                    Kind::Histogram | Kind::ExpHistogram => self.buckets.city(hash, row),
                    Kind::Gauge | Kind::Summary => hash,
                }
            })
            .collect()
    }
}

/// Add numbers of eight bytes each, sent one by one or packed.
fn put_fixed(out: &mut Vec<u8>, field: Field<'_>) -> Result<(), Malformed> {
    match field {
        Field::Fixed64(bits) => put_number(out, bits),
        Field::Bytes(packed) if packed.len() % 8 == 0 => out.extend_from_slice(packed),
        Field::Bytes(_) => return Err(Malformed),
        _ => {}
    }
    Ok(())
}

/// Read the buckets of one side of an exponential histogram.
fn read_buckets(data: &[u8], offset: &mut i32, counts: &mut Vec<u8>) -> Result<(), Malformed> {
    let mut message = Message::new(data);
    while let Some(field) = message.next()? {
        match field {
            (1, Field::Varint(bits)) => *offset = zigzag(bits),
            (2, Field::Varint(bits)) => put_number(counts, bits),
            (2, Field::Bytes(packed)) => {
                let mut numbers = Message::new(packed);
                while !numbers.is_empty() {
                    put_number(counts, numbers.varint()?);
                }
            }
            _ => {}
        }
    }
    Ok(())
}

/// A number of type sint32.
fn zigzag(bits: u64) -> i32 {
    let bits = bits as u32;
    (bits >> 1) as i32 ^ -((bits & 1) as i32)
}
