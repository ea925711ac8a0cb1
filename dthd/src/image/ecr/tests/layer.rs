//! Layers in parts.

use base64::{Engine, engine::general_purpose::STANDARD};
use bytes::Bytes;
use dth_proto::failure::FailureClass;
use serde_json::json;

use super::*;
use crate::image::{
    digest::Digest,
    ecr::{LayerError, LayerUpload},
};

fn upload() -> LayerUpload {
    LayerUpload { repository: "app".into(), id: "U".into(), part_size: 10 << 20 }
}

fn gap(last: i64) -> Vec<Step> {
    refusal("400 Bad Request", "InvalidLayerPartException", &json!({ "lastValidByteReceived": last, "uploadId": "U" }))
}

#[tokio::test]
async fn a_layer_goes_in_parts() {
    let stage = stage(|_, asked| match asked.operation.as_str() {
        "InitiateLayerUpload" => good(&json!({ "uploadId": "U", "partSize": 20_971_520 })),
        "UploadLayerPart" => good(&json!({ "lastByteReceived": asked.body["partLastByte"] })),
        _ => good(&json!({ "layerDigest": asked.body["layerDigests"][0] })),
    })
    .await;
    let upload = stage.ecr.start_layer("app").await.expect("begun").expect("offered");
    assert_eq!(upload, super::layer::upload());
    assert_eq!(stage.ecr.put_layer_part(&upload, 0, Bytes::from_static(b"0123")).await, Ok(4));
    assert_eq!(stage.ecr.put_layer_part(&upload, 4, Bytes::from_static(b"45")).await, Ok(6));
    stage.ecr.finish_layer(upload, &Digest::sha256(b"012345")).await.expect("done");
    let asked = stage.asked();
    let part = &asked[2].body;
    assert_eq!((&part["partFirstByte"], &part["partLastByte"], &part["uploadId"]), (&json!(4), &json!(5), &json!("U")));
    assert_eq!(part["layerPartBlob"], STANDARD.encode("45"));
    assert_eq!(stage.operations(), ["InitiateLayerUpload", "UploadLayerPart", "UploadLayerPart", "CompleteLayerUpload"]);
}

#[tokio::test]
async fn a_gap_tells_where_to_go_on() {
    let stage = stage(|_, asked| gap(asked.text("repositoryName").parse().expect("a number"))).await;
    for (last, first, expected) in [(9, 20, 10), (-1, 20, 0), (23, 20, 24)] {
        let upload = LayerUpload { repository: i64::to_string(&last), ..upload() };
        assert_eq!(stage.ecr.put_layer_part(&upload, first, Bytes::from_static(b"abcd")).await, Ok(expected));
    }
    // the part is refused although it is the next: to send it again would never end
    let upload = LayerUpload { repository: "19".into(), ..upload() };
    match stage.ecr.put_layer_part(&upload, 20, Bytes::from_static(b"abcd")).await {
        Err(LayerError::Failed(error)) => {
            assert_eq!((error.class, error.code.as_str()), (FailureClass::Permanent, "InvalidLayerPartException"));
        }
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_part_whose_answer_was_lost_is_not_lost() {
    let stage = stage(|n, _| if n == 0 { refusal("500 Internal Server Error", "ServerException", &json!({})) } else { gap(3) }).await;
    assert_eq!(stage.ecr.put_layer_part(&upload(), 0, Bytes::from_static(b"abcd")).await, Ok(4));
}

#[tokio::test]
async fn an_upload_that_is_gone_begins_again() {
    let stage = stage(|_, asked| match asked.operation.as_str() {
        "BatchCheckLayerAvailability" => good(&json!({ "layers": [] })),
        _ => bad("UploadNotFoundException"),
    })
    .await;
    assert!(matches!(stage.ecr.put_layer_part(&upload(), 0, Bytes::from_static(b"a")).await, Err(LayerError::Gone(_))));
    assert!(matches!(stage.ecr.finish_layer(upload(), &Digest::sha256(b"a")).await, Err(LayerError::Gone(_))));
    assert_eq!(stage.operations(), ["UploadLayerPart", "CompleteLayerUpload", "BatchCheckLayerAvailability"], "nothing is repeated");
}

#[tokio::test]
async fn a_layer_that_is_there_is_well() {
    let digest = Digest::sha256(b"a");
    let exists = stage(|_, _| bad("LayerAlreadyExistsException")).await;
    exists.ecr.finish_layer(upload(), &digest).await.expect("somebody else was faster");
    let there = json!({ "layers": [{ "layerDigest": digest.as_str(), "layerAvailability": "AVAILABLE" }] });
    let unheard = stage(move |_, asked| match asked.operation.as_str() {
        "BatchCheckLayerAvailability" => good(&there),
        _ => bad("UploadNotFoundException"),
    })
    .await;
    unheard.ecr.finish_layer(upload(), &digest).await.expect("an earlier try had succeeded");
}

#[tokio::test]
async fn a_damaged_layer_is_sent_anew() {
    let refused = stage(|_, _| bad("InvalidLayerException")).await;
    let error = refused.ecr.finish_layer(upload(), &Digest::sha256(b"a")).await.expect_err("damaged");
    assert!(matches!(&error, LayerError::Gone(error) if error.is_retryable()), "{error:?}");
    assert_eq!(refused.asked().len(), 1, "the same parts stay damaged");
    let other = stage(|_, _| good(&json!({ "layerDigest": Digest::sha256(b"b").as_str() }))).await;
    let error = other.ecr.finish_layer(upload(), &Digest::sha256(b"a")).await.expect_err("another");
    assert!(matches!(&error, LayerError::Gone(error) if error.code == "DIGEST_MISMATCH"), "{error:?}");
}
