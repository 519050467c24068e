"""What a report shows about how a model learned and how far its samples can be trusted."""
