//! A profile as it stands in providers.toml.

use dth_proto::units::ByteSize;
use toml::{Table, Value};

use super::{ByteOrder, Profile, UnsignedPayload};

/// The profile in full, in the form of providers.toml.
#[must_use]
pub fn to_toml(profile: &Profile) -> String {
    let Profile { name, title, path_style, lists_in_byte_order, etag_is_md5, multipart_etag_is_md5, checksums, .. } = profile;
    let Profile { list_version, url_encoding, unsigned_payload, parts, equal_parts, copies, copies_parts, bulk_delete, .. } = profile;
    let Profile { tags, acls, object_lock, versions, storage_classes, archive_classes, class_map, regions, endpoint, .. } = profile;
    let order = match lists_in_byte_order {
        ByteOrder::Yes => "yes",
        ByteOrder::No => "no",
        ByteOrder::Unknown => "unknown",
    };
    let unsigned = match unsigned_payload {
        UnsignedPayload::Tls => "tls",
        UnsignedPayload::Always => "always",
        UnsignedPayload::Never => "never",
    };
    let texts = |all: &[String]| (!all.is_empty()).then(|| Value::from(all.to_vec()));
    let map = class_map.iter().map(|(from, to)| (from.clone(), Value::from(to.clone()))).collect::<Table>();
    let lines: [(&str, Option<Value>); 25] = [
        ("title", Some(title.clone().into())),
        ("endpoint", endpoint.clone().map(Value::from)),
        ("regions", texts(regions)),
        ("path_style", Some((*path_style).into())),
        ("lists_in_byte_order", Some(order.into())),
        ("list_version", Some(i64::from(*list_version).into())),
        ("url_encoding", Some((*url_encoding).into())),
        ("etag_is_md5", Some((*etag_is_md5).into())),
        ("multipart_etag_is_md5", Some((*multipart_etag_is_md5).into())),
        ("checksums", Some((*checksums).into())),
        ("unsigned_payload", Some(unsigned.into())),
        ("min_part", Some(ByteSize(parts.min).to_string().into())),
        ("max_part", Some(ByteSize(parts.max).to_string().into())),
        ("max_parts", i64::try_from(parts.parts).ok().map(Value::from)),
        ("equal_parts", Some((*equal_parts).into())),
        ("copies", Some((*copies).into())),
        ("copies_parts", Some((*copies_parts).into())),
        ("bulk_delete", Some(i64::from(*bulk_delete).into())),
        ("tags", Some((*tags).into())),
        ("acls", Some((*acls).into())),
        ("object_lock", Some((*object_lock).into())),
        ("versions", Some((*versions).into())),
        ("storage_classes", texts(storage_classes)),
        ("archive_classes", texts(archive_classes)),
        ("class_map", (!map.is_empty()).then(|| Value::from(map))),
    ];
    let body: String = lines.into_iter().filter_map(|(key, value)| Some(format!("{key} = {}\n", value?))).collect();
    format!("[provider.{name}]\n{body}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::s3::provider::{embedded, own};

    #[test]
    fn every_profile_comes_back_as_it_was() {
        for profile in embedded() {
            let text = to_toml(profile);
            let read = own("p.toml", &text).unwrap_or_else(|bad| panic!("{bad}\n{text}"));
            assert_eq!(read, std::slice::from_ref(profile), "{text}");
        }
    }
}
