//! The OpenAPI 3.1 document, made from the declarations.

use schemars::{JsonSchema, SchemaGenerator, generate::SchemaSettings};
use serde_json::{Map, Value, json};

use crate::operation::{Method, Needs, Operation, RawOperation};
use crate::{Nothing, Problem, operations};

/// An operation as data: what the document and the route table need to know.
#[derive(Clone, Copy)]
pub struct Declared {
    /// Its name.
    pub id: &'static str,
    /// Its method.
    pub method: Method,
    /// Its path.
    pub path: &'static str,
    /// The token it needs.
    pub needs: Needs,
    summary: &'static str,
    path_schema: Schema,
    query_schema: Schema,
    input_schema: Schema,
    output_schema: Schema,
}

/// Makes a schema; `None` for [`Nothing`].
type Schema = fn(&mut SchemaGenerator) -> Option<Value>;

fn schema_of<T: JsonSchema + 'static>(generator: &mut SchemaGenerator) -> Option<Value> {
    if T::schema_id() == Nothing::schema_id() {
        return None;
    }
    Some(generator.subschema_for::<T>().to_value())
}

impl Declared {
    /// The declaration of an operation.
    #[must_use]
    pub fn of<O: Operation>() -> Self {
        Self {
            id: O::ID,
            method: O::METHOD,
            path: O::PATH,
            needs: O::NEEDS,
            summary: O::SUMMARY,
            path_schema: schema_of::<O::Path>,
            query_schema: schema_of::<O::Query>,
            input_schema: schema_of::<O::Input>,
            output_schema: schema_of::<O::Output>,
        }
    }
}

/// Makes the whole document. The same input gives the same bytes.
#[must_use]
pub fn document() -> Value {
    let mut generator = SchemaSettings::draft2020_12()
        .with(|settings| settings.definitions_path = "/components/schemas".into())
        .into_generator();
    let problem = generator.subschema_for::<Problem>().to_value();
    let mut paths: Map<String, Value> = Map::new();
    for declared in operations::all() {
        let operation = json_operation(&declared, &problem, &mut generator);
        put(&mut paths, declared.path, declared.method, operation);
    }
    for raw in operations::RAW {
        put(
            &mut paths,
            raw.path,
            raw.method,
            raw_operation(raw, &problem),
        );
    }
    let schemas = Value::Object(generator.take_definitions(true));
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Nightshift",
            "version": "1",
            "description": "File issues, read what agents made of them, decide. Errors are RFC 9457 \
                problem details. Lists are pages: pass `next` as `cursor`. A POST with an \
                `Idempotency-Key` header is done once per key, for 24 hours.",
            "license": { "name": "MIT OR Apache-2.0", "identifier": "MIT OR Apache-2.0" },
        },
        "paths": paths,
        "components": {
            "schemas": schemas,
            "securitySchemes": {
                "token": { "type": "http", "scheme": "bearer" },
            },
        },
    })
}

fn put(paths: &mut Map<String, Value>, path: &str, method: Method, operation: Value) {
    let item = paths.entry(path).or_insert_with(|| json!({}));
    if let Value::Object(item) = item {
        item.insert(method.as_str().to_lowercase(), operation);
    }
}

fn json_operation(declared: &Declared, problem: &Value, generator: &mut SchemaGenerator) -> Value {
    let mut parameters = Vec::new();
    for (place, schema) in [
        ("path", (declared.path_schema)(generator)),
        ("query", (declared.query_schema)(generator)),
    ] {
        if let Some(schema) = schema {
            parameters.extend(parameters_of(place, &schema, generator));
        }
    }
    let mut operation = base(declared.id, declared.summary, declared.needs, parameters);
    if let Some(input) = (declared.input_schema)(generator) {
        operation["requestBody"] = json!({
            "required": true,
            "content": { "application/json": { "schema": input } },
        });
    }
    let ok = match (declared.output_schema)(generator) {
        Some(output) => json!({
            "description": "Done.",
            "content": { "application/json": { "schema": output } },
        }),
        None => json!({
            "description": "Done.",
            "content": { "application/json": { "schema": { "type": "object" } } },
        }),
    };
    operation["responses"] = json!({ "200": ok, "default": problem_response(problem) });
    operation
}

fn raw_operation(raw: &RawOperation, problem: &Value) -> Value {
    let in_path = raw.path.split('/').filter_map(|part| {
        part.strip_prefix('{')
            .and_then(|part| part.strip_suffix('}'))
    });
    let parameters = in_path
        .map(|name| json!({ "name": name, "in": "path", "required": true, "schema": { "type": "string" } }))
        .chain(raw.query.iter().map(
            |name| json!({ "name": name, "in": "query", "schema": { "type": "string" } }),
        ))
        .collect();
    let mut operation = base(raw.id, raw.summary, raw.needs, parameters);
    if raw.method == Method::Post {
        operation["requestBody"] = json!({
            "required": true,
            "content": { "application/x-ndjson": { "schema": { "type": "string" } } },
        });
    }
    operation["responses"] = json!({
        "200": { "description": "Done.", "content": { raw.answers: {} } },
        "default": problem_response(problem),
    });
    operation
}

fn base(id: &str, summary: &str, needs: Needs, parameters: Vec<Value>) -> Value {
    let security = match needs {
        Needs::Nobody => json!([]),
        Needs::Person | Needs::Runner | Needs::Run => json!([{ "token": [] }]),
    };
    json!({
        "operationId": id,
        "summary": summary.trim(),
        "tags": [id.split('.').next().unwrap_or(id)],
        "x-needs": needs.as_str(),
        "security": security,
        "parameters": parameters,
    })
}

fn problem_response(problem: &Value) -> Value {
    json!({
        "description": "A problem.",
        "content": { "application/problem+json": { "schema": problem } },
    })
}

/// The fields of an object schema as parameters.
fn parameters_of(place: &str, schema: &Value, generator: &SchemaGenerator) -> Vec<Value> {
    let name = schema["$ref"]
        .as_str()
        .and_then(|path| path.rsplit('/').next())
        .unwrap_or_default();
    let whole = generator.definitions().get(name).unwrap_or(schema);
    let Some(fields) = whole["properties"].as_object() else {
        return Vec::new();
    };
    fields
        .iter()
        .map(|(name, field)| {
            let mut field = field.clone();
            let description = field
                .as_object_mut()
                .and_then(|field| field.remove("description"));
            let mut parameter = json!({
                "name": name,
                "in": place,
                "required": place == "path",
                "schema": field,
            });
            if let Some(description) = description {
                parameter["description"] = description;
            }
            parameter
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn ids_and_routes_are_unique() {
        let mut ids = BTreeSet::new();
        let mut routes = BTreeSet::new();
        let json = operations::all()
            .into_iter()
            .map(|d| (d.id, d.method, d.path));
        let raw = operations::RAW.iter().map(|r| (r.id, r.method, r.path));
        for (id, method, path) in json.chain(raw) {
            assert!(ids.insert(id), "{id} twice");
            assert!(routes.insert((method.as_str(), path)), "{path} twice");
        }
    }

    #[test]
    fn every_reference_resolves_and_every_path_value_is_declared() {
        let document = document();
        let schemas = &document["components"]["schemas"];
        let text = document.to_string();
        for part in text.split("\"#/components/schemas/").skip(1) {
            let name = part.split('"').next().expect("an end");
            assert!(schemas.get(name).is_some(), "{name} is not defined");
        }
        for (path, item) in document["paths"].as_object().expect("paths") {
            for (method, operation) in item.as_object().expect("methods") {
                let declared: BTreeSet<_> = operation["parameters"]
                    .as_array()
                    .expect("parameters")
                    .iter()
                    .filter(|p| p["in"] == "path")
                    .filter_map(|p| p["name"].as_str())
                    .collect();
                let used: BTreeSet<_> = path
                    .split('/')
                    .filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'))
                    .collect();
                assert_eq!(declared, used, "{method} {path}");
            }
        }
    }
}
