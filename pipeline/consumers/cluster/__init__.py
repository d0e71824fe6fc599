"""The cluster's side: Kafka in and out, a worker's loop as an app of Faust, and the runner that several share."""
